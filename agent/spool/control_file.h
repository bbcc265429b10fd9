/* control_file: control files: an operator's requests to the node. `drain` and `pause` in
 * state_dir/orders, `retry.order`, `hold.order` and `quarantine.order` in a record.
 *
 * Files and not a socket, because a request must outlive the process that carries it out: a drained
 * node stays drained after a restart or reboot, and a paused transcode stays suspended while only
 * its step is running. They are durable; inotify or the next check shows them. Whoever can write to
 * state_dir (0700) can make requests: the agent's user and root. The file's existence is the
 * request; its content (when, by whom) is for people and never parsed. */
#ifndef AGENT_CONTROL_FILE_H
#define AGENT_CONTROL_FILE_H

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

#define CONTROL_DIRECTORY "orders" /* in state_dir */
#define CONTROL_SUFFIX    ".order" /* in a record */

enum control_file {
    CONTROL_DRAIN,      /* state_dir: claim nothing */
    CONTROL_PAUSE,      /* state_dir: claim nothing, and suspend transcoders */
    CONTROL_RETRY,      /* record: retry now, whatever it waits for; the agent removes it */
    CONTROL_HOLD,       /* record: no step is started, nothing is presented, until retry */
    CONTROL_QUARANTINE, /* record: move to quarantine */
    CONTROL_COUNT,
};

/* dir: state_dir/orders or the record, depending on the request. */
bool control_file_exists(int dir, enum control_file control);
int64_t control_file_since_us(int dir, enum control_file control); /* 0: it does not exist */
int control_file_create(int dir, enum control_file control, struct error *err);
int control_file_remove(int dir, enum control_file control,
                        struct error *err); /* does not exist: 0 */

#endif
