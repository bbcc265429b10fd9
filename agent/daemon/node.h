/* node: the resident agent's state in memory, shared by claim, heartbeat, courier and steps.
 *
 * The truth is in the spool; nothing here needs to survive. Each part has one owner: only roster.c
 * assigns members of struct roster, and so on. Others call its functions. */
#ifndef AGENT_NODE_H
#define AGENT_NODE_H

#include "agent/daemon/admission.h"
#include "agent/daemon/roster.h"
#include "agent/daemon/server_link.h"

enum { NODE_NEVER = -1 };

struct node {
    const struct config *config;
    const char *config_path; /* as named with -c, also for steps; NULL: none */
    struct spool spool;
    int epoll, inotify;
    struct roster roster;
    struct server_link server;
    struct admission admission;
    bool has_postponed;  /* outbox.c: a report was postponed since the others were woken */
    bool is_status_due;  /* something that status shows has changed */
    bool is_control_due; /* control files of the node, or of any record, may have changed */
    bool is_record_due;  /* those of the records that are marked */
};

/* The status file is to be published again. */
void node_status_changed(struct node *node);
/* Request that control files be read again: they, or what decides about them, may have changed. */
void node_control_changed(struct node *node);
/* Those of one record: with thousands of records, reading them all takes 50 ms. */
void node_record_changed(struct live *live);
/* True once after each change. */
bool node_take_status_change(struct node *node);
bool node_take_control_change(struct node *node);
bool node_take_record_change(struct node *node);

int64_t soonest_ms(int64_t a, int64_t b); /* NODE_NEVER is later than any other time */

#endif
