/* order: control files: an operator's requests to the node. `drain` and `pause` in
 * state_dir/orders, `retry.order`, `hold.order` and `quarantine.order` in a record.
 *
 * Files and not a socket, because a request must outlive the process that carries it out: a drained
 * node stays drained after a restart or reboot, and a paused transcode stays suspended while only
 * its step is running. They are durable; inotify or the next check shows them. Whoever can write to
 * state_dir (0700) can make requests: the agent's user and root. The file's existence is the
 * request; its content (when, by whom) is for people and never parsed. */
#ifndef AGENT_ORDER_H
#define AGENT_ORDER_H

#include "lib/error.h"

#include <stdbool.h>

#define ORDER_ROOM   "orders" /* in state_dir */
#define ORDER_SUFFIX ".order" /* in a record */

enum order {
    ORDER_DRAIN,      /* state_dir: claim nothing */
    ORDER_PAUSE,      /* state_dir: claim nothing, and suspend transcoders */
    ORDER_RETRY,      /* record: retry now, whatever it waits for; the agent removes it */
    ORDER_HOLD,       /* record: no step is started, nothing is presented, until retry */
    ORDER_QUARANTINE, /* record: move to quarantine */
    ORDER_COUNT,
};

/* dir: state_dir/orders or the record, depending on the request. */
bool order_is_given(int dir, enum order order);
int order_give(int dir, enum order order, struct error *err);
int order_withdraw(int dir, enum order order, struct error *err); /* does not exist: 0 */

#endif
