/* node: what the resident agent holds in memory, shared by claim, heartbeat, courier and steps.
 *
 * The truth is in the spool; this is the list of live records with what is known about each, and
 * what the modules tell each other. Nothing here needs to survive. node_look reads a record's state
 * anew from its files: it is the only writer of live.state. */
#ifndef AGENT_NODE_H
#define AGENT_NODE_H

#include "agent/api/http.h"
#include "agent/base/config.h"
#include "agent/spool/spool.h"

#include <sys/types.h>

enum {
    NODE_REASON_BYTES = 256,
    NODE_NEVER = -1,
    NODE_FINALS_MAX = 8,
    NODE_FAULTS_MAX = 2, /* failures of this node's own in a row, then claims rest */
};

struct node;

struct live_step {
    int pidfd; /* -1: no step runs */
    pid_t pid;
    bool is_child; /* else adopted: nobody can tell how it ended */
    enum job_state started_in;
    unsigned futile; /* ends in a row that moved nothing */
    unsigned unseen; /* looks in a row that did not find the process which holds the record */
    bool is_unseen;  /* so often that it was said */
    bool is_told_to_end;
    int64_t due_ms; /* not started before */
};

struct live_delivery {
    struct http_call *call;
    unsigned attempts; /* reports posted, in this life */
    unsigned failures; /* in a row */
    unsigned reuploads;
    int64_t due_ms;
    int64_t floor_ms; /* the server has asked for patience until then */
    bool is_failure, is_held, is_silent;
    bool past_cache;                /* presented without its token, since a cache may lie */
    bool is_reclaiming;             /* `call` asks for the job again */
    bool is_reclaimed;              /* and got it, since it was last held */
    char reason[NODE_REASON_BYTES]; /* of the last answer; "" none */
};

struct live {
    struct live *next;
    struct node *node;
    char id[SPOOL_ID_BYTES];
    int64_t job_id, claim_epoch;
    char token[TAILSLATE_TOKEN_BYTES];
    enum job_state state;
    int watch;         /* inotify; -1 none */
    bool is_on_hold;   /* by an operator: no step, no report */
    bool is_waiting;   /* its step waits for space on this disk */
    int64_t sealed_us; /* wall clock: when its report was sealed; 0: it is not */
    struct live_step step;
    struct live_delivery delivery;
    bool is_final_said; /* its job.final is in the log */
    unsigned retire_failures;
    int64_t retire_due_ms;
};

enum server_state {
    SERVER_UNKNOWN,
    SERVER_FINE,
    SERVER_UNREACHED,
    SERVER_NOT_TRUSTED,
    SERVER_KEY_REFUSED,
    SERVER_FAILING, /* it answers, but not what it should */
    SERVER_STATE_COUNT,
};
const char *server_state_name(enum server_state state);

/* How a job ended, for status. */
struct node_final {
    int64_t at_us, job_id;
    const char *outcome; /* a name that lives as long as the program */
    char reason[NODE_REASON_BYTES];
};

struct node {
    const struct config *config;
    const char *config_path; /* for steps; NULL = none */
    struct http_client *http;
    struct spool spool;
    struct live *lives; /* in the order of their arrival */
    int epoll, inotify;
    int order_watch, live_watch;   /* inotify, of state_dir/orders and of the spool; -1 none */
    bool is_stopping, is_draining; /* by a signal: it will end */
    bool is_drained, is_paused;    /* by an operator's order: nothing is claimed */
    bool is_order_due;             /* something may have been ordered: look */
    bool is_order_stuck;           /* an order could not be taken away: look again later */
    int64_t order_due_ms;
    bool is_disk_low, is_tool_broken; /* while so, nothing is claimed */
    bool is_version_refused;          /* by the server (version_ok): the same */
    bool has_arrived;                 /* a record that we do not know: look */
    bool has_unread;       /* records that cannot be read just now; their jobs are not known */
    bool is_config_broken; /* the file that a step would read; nothing is claimed */
    int64_t disk_free_bytes;
    bool is_status_due;    /* something that status shows has changed */
    bool is_key_refused;   /* since the key was read: it is read again before the next attempt */
    bool wakes_deliveries; /* the server is back: deliveries need not sit out their backoff */
    enum server_state server;
    int64_t server_since_us; /* wall clock */
    int64_t fine_since_us;   /* wall clock: no trouble with it is known since, or since our start */
    int64_t server_due_ms;   /* the next heartbeat */
    unsigned faults;         /* failures in a row that were this node's */
    int64_t rest_until_ms;   /* and for how long nothing is claimed then */
    char fault[NODE_REASON_BYTES];
    struct node_final finals[NODE_FINALS_MAX]; /* a ring */
    unsigned final_count;
    char server_reason[NODE_REASON_BYTES];
};

/* Take a record of spool->live up into the list. NULL (err filled): it cannot be read. */
struct live *node_take(struct node *node, const char *id, struct error *err);
void node_forget(struct live *live); /* frees it; its calls are cancelled, its step is let go */
/* -1: the record has become unreadable or makes no state. */
int node_look(struct live *live, struct error *err);

unsigned node_slots_held(const struct node *node);
unsigned node_count_state(const struct node *node, enum job_state state);
/* Each once. False, and none: there are more than max. */
bool node_job_ids(const struct node *node, int64_t *ids, size_t max, size_t *count);

/* Logs when the state changes, and only then. */
void node_server_is(struct node *node, enum server_state state, const char *reason);
/* By the answer to a call that is about no job. */
enum server_state node_server_state(enum tailslate_answer_class class);
enum server_state node_server_state_of(const struct http_answer *answer, char *reason, size_t room);

/* Before an attempt: takes up a key that was rotated in its file. What was held may be due to the
 * key and is presented again then. */
void node_renew_key(struct node *node);

/* Why nothing is claimed; NULL: work is asked for. */
const char *node_obstacle(const struct node *node, int64_t now_ms);
void node_forgive(struct node *node); /* its failures */

int node_open(const struct live *live, struct error *err); /* the record's directory */

int64_t soonest_ms(int64_t a, int64_t b); /* NODE_NEVER is later than everything */

#endif
