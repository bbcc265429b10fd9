/* roster: the records in the spool that are in progress, and what is known about each.
 *
 * Reads the spool at the start and when a record appears. roster_refresh derives a record's state
 * from its files: it is the only writer of live.state. What the steps, the outbox, the courier and
 * the clean-up know about a record is assigned by their files alone; the roster tells them what has
 * happened to a record (struct roster_owner).
 *
 * A record that cannot be read now is work that nobody delivers: it is read again until that
 * succeeds. An invalid one is quarantined. */
#ifndef AGENT_ROSTER_H
#define AGENT_ROSTER_H

#include "agent/api/http.h"
#include "agent/daemon/due.h"
#include "agent/spool/spool.h"
#include "lib/json.h"

#include <sys/inotify.h>
#include <sys/types.h>

enum {
    ROSTER_REASON_BYTES = 256,
    ROSTER_FINALS_MAX = 8,
    ROSTER_FAILURES_MAX = 5,
    ROSTER_CHECK_MS = 5 * 1000, /* between two attempts to read what cannot be read */
    ROSTER_BUCKETS = 1024,
};

struct node;
struct live;

/* steps.c */
struct live_step {
    int pidfd; /* -1: no step is running */
    pid_t pid;
    bool is_child; /* otherwise adopted: its exit status is unknown */
    enum job_state started_in;
    unsigned without_progress; /* consecutive runs */
    unsigned unseen; /* consecutive checks that did not find the process holding the record */
    bool is_unseen;  /* not found often enough that it was reported */
    bool is_told_to_end;
    struct due due;            /* earliest start; in node->starts if it wants one */
    struct live *next_running; /* of node->running */
};

/* courier.c */
struct live_courier {
    unsigned attempts; /* reports presented by this process */
    unsigned reuploads;
    bool is_reclaimed; /* the job was reclaimed since the report was last on hold */
};

/* outbox.c */
struct live_delivery {
    struct http_call *call; /* in flight: the report, or a question about it */
    unsigned failures;      /* in a row */
    struct due due;         /* in node->reports if it waits; its age: when it was sealed */
    int64_t floor_ms;       /* the server's Retry-After ends then */
    bool is_failure, is_held, is_silent;
    bool past_cache; /* presented without its token, because a cache may answer wrongly */
    char reason[ROSTER_REASON_BYTES]; /* of the last answer; "" = none */
    const char *hint;                 /* what a person can do; NULL: nothing */
    int64_t since_us;                 /* wall clock: not accepted since then */
};

/* retire.c */
struct live_end {
    bool is_logged; /* its job.final */
    unsigned failures;
    struct due due; /* in node->ends if it is over */
};

struct live {
    struct live *next, **link;                /* in order of arrival; what points to it */
    struct live *next_of_job, *next_of_watch; /* in the same bucket */
    struct node *node;
    char id[SPOOL_ID_BYTES];
    int64_t job_id, claim_epoch;
    char token[TAILSLATE_TOKEN_BYTES];
    enum job_state state;
    int watch;         /* inotify; -1 none */
    struct due change; /* in node->changes if its control files may have changed */
    bool is_on_hold;   /* by an operator: no step, no report */
    bool is_waiting;   /* its step is waiting for disk space */
    int64_t sealed_us; /* wall clock: when its report was sealed; 0: not sealed */
    struct live_step step;
    struct live_delivery delivery;
    struct live_courier courier;
    struct live_end end;
};

/* What an owner of a part of struct live does about a change; NULL: nothing. */
struct roster_owner {
    /* The record has entered its state from `former` (JOB_WRONG: it was just read). dir: its
     * directory, borrowed. */
    void (*on_state)(struct live *live, int dir, enum job_state former);
    void (*on_claim)(struct live *live); /* it is bound to a new claim */
    /* is_on_hold has changed. why: only a person can decide about it; NULL: a person has. */
    void (*on_hold)(struct live *live, const char *why);
    void (*on_forget)(struct live *live);
};
enum { ROSTER_OWNERS_MAX = 4 };

/* How a job ended, for status. */
struct roster_final {
    int64_t at_us, job_id;
    const char *outcome; /* a string with static lifetime */
    char reason[ROSTER_REASON_BYTES];
};

struct roster {
    struct live *first, **end; /* in order of arrival; where the next one is put */
    struct live *of_job[ROSTER_BUCKETS], *of_watch[ROSTER_BUCKETS];
    unsigned of_state[JOB_STATE_COUNT]; /* how many */
    int64_t last_number;
    const struct roster_owner *owners[ROSTER_OWNERS_MAX]; /* told in this order; NULL: no more */
    int watch;                                            /* inotify, of the spool; -1 none */
    bool has_unwatched; /* there are, or were, records without a watch */
    bool has_arrived;   /* an unknown record has appeared: read the spool */
    bool is_incomplete; /* some records cannot be read now, so their jobs are not known */
    int64_t read_due_ms;
    struct roster_final finals[ROSTER_FINALS_MAX]; /* a ring buffer */
    unsigned final_count;
    struct json *failures; /* the last ones, newest first, as in failures.json; NULL: none */
};

/* owners: ROSTER_OWNERS_MAX at most, each with static lifetime. */
void roster_init(struct node *node, const struct roster_owner *const *owners, size_t count);
/* After the spool and inotify have been opened. Without a watch, the spool is read at the start
 * only. */
void roster_watch(struct node *node);
/* Reads the spool: adds what is not known yet. */
int roster_read(struct node *node, struct error *err);
/* Returns when to call it again. */
int64_t roster_tick(struct node *node, int64_t now_ms);
void roster_event(struct node *node, const struct inotify_event *event);
/* The record that a watch belongs to; NULL: none. */
struct live *roster_find_watch(const struct node *node, int watch);

/* Adds a record of spool->live to the list. NULL (err filled): it cannot be read. */
struct live *roster_add(struct node *node, const char *id, struct error *err);
/* Frees it; its requests are cancelled, its step keeps running. */
void roster_forget(struct live *live);
int roster_open(const struct live *live, struct error *err); /* the record's directory */
/* -1: the record has become unreadable or matches no state. */
int roster_refresh(struct live *live, struct error *err);
void roster_set_on_hold(struct live *live, bool is_on_hold);
/* Binds a finished record to a new claim of its job, durably: new token, new epoch. It is due at
 * once; a request in flight for the former claim is cancelled. -1 with code ENOTUNIQ if the claim
 * is for another video: the record is then on hold, as if an operator had requested it. */
int roster_rebind(struct live *live, const struct record_claim *claim, struct error *err);

unsigned roster_count(const struct node *node);
unsigned roster_count_state(const struct node *node, enum job_state state);
unsigned roster_slots_held(const struct node *node);
/* Each job once. False, and none: there are more than max. */
bool roster_job_ids(const struct node *node, int64_t *ids, size_t max, size_t *count);

/* Reads the last failures that an earlier run of the agent has noted. */
void roster_read_failures(struct node *node);
/* In memory and, not durably, in state_dir. */
void roster_note_failure(struct node *node, int64_t job_id, const char *reason);

/* outcome: a string with static lifetime. */
void roster_note_final(struct node *node, int64_t job_id, const char *outcome, const char *reason);

#endif
