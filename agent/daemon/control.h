/* control: the running agent carries out an operator's requests (control_file.h).
 *
 * It also applies retry.hold_days: a report that the server has refused for that long is moved
 * away, finished work to quarantine/, which nothing empties, no matter whether courier or step
 * noted the refusal (refused.json).
 *
 * drain and pause stop claims at once. Per record: retry ends every wait and is then removed; hold
 * keeps steps and reports from being started; quarantine ends its step and moves it. State, not
 * edges: control files are read when something has changed, and requests made while no agent was
 * running are found when the record is loaded. */
#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H

#include "agent/daemon/node.h"

#include <sys/inotify.h>

struct control {
    struct node *node;
    int watch;     /* inotify, of state_dir/orders; -1 none: it is checked regularly */
    bool is_stuck; /* a control file could not be removed: try again later */
    int64_t due_ms;
};

/* Call after the spool and inotify have been opened. */
void control_watch(struct control *control);
/* If the event means that control files have changed, they are read at the next tick. */
void control_event(struct control *control, const struct inotify_event *event);
int64_t control_tick(struct control *control, int64_t now_ms);

#endif
