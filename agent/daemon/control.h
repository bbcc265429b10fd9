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

void control_watch(
    struct node *node); /* the directory of control files; call after the spool has been opened */
/* Does this event mean that control files have changed? */
void control_event(struct node *node, const struct inotify_event *event);
int64_t control_tick(struct node *node, int64_t now_ms);

#endif
