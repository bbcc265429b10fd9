/* obey: the running agent carries out what an operator has ordered (order.h).
 *
 * Also what the configuration orders for all: what the server has refused for retry.hold_days is
 * set aside, finished work into quarantine, which nothing empties, and whoever noted the refusal
 * (courier or step) is not asked (refused.json).
 *
 * drain and pause stop claims at once. Of a record: retry ends every wait that it is in and is
 * taken away when that is done; hold keeps steps and reports from being started; quarantine ends
 * its step and sets it aside. Levels, not edges: the files are looked at when something has
 * changed, and whatever was ordered while no agent ran is found when the record is taken up. */
#ifndef AGENT_OBEY_H
#define AGENT_OBEY_H

#include "agent/daemon/node.h"

#include <sys/inotify.h>

void obey_watch(struct node *node); /* the orders' room; after the spool has been opened */
/* Does this event say that something was ordered? */
void obey_event(struct node *node, const struct inotify_event *event);
int64_t obey_tick(struct node *node, int64_t now_ms);

#endif
