/* fleet: the programs of a run, all real: nodes, verifiers, a database, Redis; and the operator.
 *
 * fleet_do carries out an event of the schedule, fleet_put_right what follows from it later
 * (who was killed is started again); both are called by one thread. What an operator does takes its
 * time and is done by a thread of its own, one after the other. */
#ifndef LAB_FLEET_H
#define LAB_FLEET_H

#include "history.h"
#include "postgres.h"
#include "proxy.h"
#include "redis.h"
#include "rig.h"
#include "schedule.h"

#include <pthread.h>

enum { FLEET_DUE_MAX = 256, FLEET_ORDERS_MAX = 8192 };
enum { FLEET_CLAIM_MS = 3600, FLEET_OFFLINE_MS = 2400, FLEET_GRACE_MS = 2000 };

struct fleet_due {
    int64_t at_ms; /* monotonic; 0: this place is free */
    enum lab_fault fault;
    int target, pidfd;
};

enum fleet_health { FLEET_UP, FLEET_DOWN, FLEET_HUNG };

struct fleet {
    struct lab_plan plan;
    struct rig *rig; /* the scratch, the settings and the environment of all */
    struct history *history;
    struct proxy *proxy;
    struct process *agents[LAB_NODES_MAX], *verifiers[LAB_VERIFIERS_MAX];
    struct settings agent_settings[LAB_NODES_MAX];
    int verifier_ports[LAB_VERIFIERS_MAX], lives;
    struct postgres *postgres;
    struct fault_proxy *database_line;
    char *database_url; /* past the line; NULL: SQLite */
    struct redis *redis;
    enum fleet_health database, redis_health;
    struct fleet_due due[FLEET_DUE_MAX];
    /* the operator's */
    pthread_t operator;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct lab_event orders[FLEET_ORDERS_MAX]; /* fault LAB_FAULT_COUNT: add the job `target` */
    size_t ordered, done;
    bool ends;
    int64_t *jobs; /* by index; 0: not added yet */
    char clip[PATH_BYTES];
};

struct fleet *fleet_start(const struct lab_plan *plan, const char *clip);
/* kind: "fake" or "ffmpeg". */
void fleet_start_nodes(struct fleet *fleet, const char *transcoder);
void fleet_start_agent(struct fleet *fleet, int number);
void fleet_start_verifier(struct fleet *fleet, int number);
void fleet_heal(struct fleet *fleet); /* everything is up, nothing is armed, all orders are done */
void fleet_end(struct fleet *fleet);  /* SIGTERM to all; their ends are in the history */
void fleet_stop_stores(struct fleet *fleet);

/* One value out of the database, "" where there is none; owned. */
char *fleet_ask(const struct fleet *fleet, const char *sql);
void fleet_do(struct fleet *fleet, const struct lab_event *event); /* faults.c */
void fleet_put_right(struct fleet *fleet, int64_t now_ms);         /* what is due: mono_ms */
void fleet_dump(const struct fleet *fleet, const char *path);      /* dump.c */

/* operator.c */
void operator_start(struct fleet *fleet);
void operator_order(struct fleet *fleet, const struct lab_event *order);
void operator_add_job(struct fleet *fleet, int index);
void operator_finish(struct fleet *fleet); /* waits until all is done */

#endif
