/* order: what an operator has told the node, as files: `drain` and `pause` in state_dir/orders,
 * `retry`, `hold` and `quarantine` (each with `.order` behind it) in a record.
 *
 * A file, and not a socket, because an order must outlive whoever carries it out: a drained node is
 * drained after a restart and a reboot too, and a paused transcode stays stopped while nobody but
 * its step lives. Given durably; whoever is concerned sees it by inotify, or at its next look. Who
 * may write into state_dir (0700) may give orders: the agent's user and root. That a file is there
 * is the order; its text (when, by whom) is for people and never parsed. */
#ifndef AGENT_ORDER_H
#define AGENT_ORDER_H

#include "lib/error.h"

#include <stdbool.h>

#define ORDER_ROOM   "orders" /* in state_dir */
#define ORDER_SUFFIX ".order" /* in a record */

enum order {
    ORDER_DRAIN,      /* room: claim nothing */
    ORDER_PAUSE,      /* room: claim nothing, and transcoders stand still */
    ORDER_RETRY,      /* record: now, whatever it waits for; taken away by the agent */
    ORDER_HOLD,       /* record: no step is started, nothing is presented, until retry */
    ORDER_QUARANTINE, /* record: set aside */
    ORDER_COUNT,
};

/* dir: state_dir/orders or the record, as the order wants it. */
bool order_is_given(int dir, enum order order);
int order_give(int dir, enum order order, struct error *err);
int order_withdraw(int dir, enum order order, struct error *err); /* not given: 0 */

#endif
