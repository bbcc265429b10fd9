/* fleet: the programs of a run, all real: nodes, verifiers, a database, Redis; and the operator.
 *
 * fleet_do carries out an event of the schedule, fleet_put_right what follows from it later
 * (who was killed is started again); both are called by one thread. What an operator does takes its
 * time and is done by a thread of its own, one after the other. */
#ifndef LAB_FLEET_H
#define LAB_FLEET_H

#include "history.h"
#include "hold.h"
#include "postgres.h"
#include "preload/harm.h"
#include "proxy.h"
#include "redis.h"
#include "rig.h"
#include "schedule.h"

#include <pthread.h>

enum { FLEET_DUE_MAX = 256, FLEET_ORDERS_MAX = 8192 };
enum { FLEET_CLAIM_MS = 1500, FLEET_OFFLINE_MS = 1200, FLEET_GRACE_MS = 800 };

struct fleet_due {
    int64_t at_ms; /* monotonic; 0: this place is free */
    enum lab_fault fault;
    int target, pidfd; /* pidfd: of a step; -1: none */
    pid_t pid;         /* of the program that it was done to; 0: none */
};

enum fleet_health { FLEET_UP, FLEET_DOWN, FLEET_HUNG };

struct fleet {
    struct lab_plan plan;
    struct rig *rig; /* the scratch, the settings and the environment of all */
    struct history *history;
    struct proxy *proxy;
    struct process *agents[LAB_NODES_MAX], *verifiers[LAB_VERIFIERS_MAX];
    struct harm *agent_harm[LAB_NODES_MAX], *verifier_harm[LAB_VERIFIERS_MAX];
    struct settings agent_settings[LAB_NODES_MAX];
    int verifier_ports[LAB_VERIFIERS_MAX], lives;
    struct postgres *postgres;
    struct fault_proxy *database_line;
    char *database_url; /* past the line; NULL: SQLite */
    struct pg_conn *connection;
    struct redis *redis;
    enum fleet_health database, redis_health;
    struct hold *rows; /* NULL: nobody holds them */
    int lost;          /* the node that is gone in this round; -1: none */
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
void fleet_begin_round(struct fleet *fleet); /* all is up, and the operator has nothing to do */
void fleet_start_agent(struct fleet *fleet, int number);
void fleet_start_verifier(struct fleet *fleet, int number);
void fleet_heal(struct fleet *fleet); /* everything is up, nothing is armed, all orders are done */
void fleet_end(struct fleet *fleet);  /* SIGTERM to all; their ends are in the history */
void fleet_note_end(struct fleet *fleet, struct process *process, const char *program);
void fleet_stop_stores(struct fleet *fleet);

/* One value out of the database, "" where there is none; owned. */
char *fleet_ask(const struct fleet *fleet, const char *sql);
void fleet_do(struct fleet *fleet, const struct lab_event *event); /* faults.c */
void fleet_put_right(struct fleet *fleet, int64_t now_ms);         /* what is due: mono_ms */
void fleet_revive(struct fleet *fleet); /* as a service manager: who has ended by itself */
void fleet_dump(const struct fleet *fleet, const char *path); /* dump.c */
void fleet_note_gate(const struct fleet *fleet);

/* harm.c: what the library that is preloaded into the programs is told. */
void harm_prepare(struct fleet *fleet);
char *harm_path(const struct fleet *fleet, const char *program, int number); /* owned */
void harm_clocks(struct fleet *fleet, int64_t shift_ms);                     /* of all verifiers */
void harm_heal(struct fleet *fleet);

/* The file whose removal lets the program die at its crash point; owned. */
char *fleet_crash_flag(const struct fleet *fleet, const char *program, int number);

/* fakes.c: scripts in place of ffmpeg and ffprobe; a node uses them from its next start on. */
void fleet_write_fakes(struct fleet *fleet);
void fleet_use_fakes(struct fleet *fleet, int node);

/* operator.c */
void operator_start(struct fleet *fleet);
void operator_order(struct fleet *fleet, const struct lab_event *order);
void operator_add_job(struct fleet *fleet, int index);
void operator_wait(struct fleet *fleet);   /* until what was ordered is done */
void operator_finish(struct fleet *fleet); /* waits until all is done */

#endif
