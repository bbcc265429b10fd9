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
    struct due_heap reports; /* outbox.c: what waits to be presented */
    struct due_heap starts;  /* steps.c: what wants a step */
    struct due_heap ends;    /* retire.c: what is to be removed */
    struct due_heap changes; /* records whose control files may have changed; all due at once */
    struct live *running;    /* steps.c: with a step, seen or not */
    unsigned in_flight;      /* outbox.c: calls about reports */
    bool has_postponed;      /* outbox.c: a report was postponed since the others were woken */
    bool is_status_due;      /* something that status shows has changed */
    bool is_control_due;     /* control files of the node, or of any record, may have changed */
};

/* The status file is to be published again. */
void node_status_changed(struct node *node);
/* Request that control files be read again: they, or what decides about them, may have changed. */
void node_control_changed(struct node *node);
/* Those of one record: with thousands of records, reading them all takes 50 ms. */
void node_record_changed(struct live *live);
/* They are read now. */
void node_record_read(struct live *live);
/* True once after each change. */
bool node_take_status_change(struct node *node);
bool node_take_control_change(struct node *node);

int64_t soonest_ms(int64_t a, int64_t b); /* NODE_NEVER is later than any other time */

#endif
