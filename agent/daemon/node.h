/* node: the resident agent's state in memory, shared by claim, heartbeat, courier and steps.
 *
 * The truth is in the spool; this is the list of live records with what is known about each, and
 * what the modules tell each other. Nothing here needs to survive. node_refresh reads a record's
 * state from its files: it is the only writer of live.state. */
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
    NODE_FAULTS_MAX = 2, /* consecutive failures caused by this node that suspend claims */
};

struct node;

struct live_step {
    int pidfd; /* -1: no step is running */
    pid_t pid;
    bool is_child; /* otherwise adopted: its exit status is unknown */
    enum job_state started_in;
    unsigned futile; /* consecutive runs without progress */
    unsigned unseen; /* consecutive checks that did not find the process holding the record */
    bool is_unseen;  /* not found often enough that it was reported */
    bool is_told_to_end;
    int64_t due_ms; /* earliest start */
};

struct live_delivery {
    struct http_call *call;
    unsigned attempts; /* reports presented by this process */
    unsigned failures; /* in a row */
    unsigned reuploads;
    int64_t due_ms;
    int64_t floor_ms; /* the server's Retry-After ends then */
    bool is_failure, is_held, is_silent;
    bool past_cache;    /* presented without its token, because a cache may answer wrongly */
    bool is_reclaiming; /* `call` reclaims the job */
    bool is_reclaimed;  /* the job was reclaimed since the report was last on hold */
    char reason[NODE_REASON_BYTES]; /* of the last answer; "" = none */
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
    bool is_waiting;   /* its step is waiting for disk space */
    int64_t sealed_us; /* wall clock: when its report was sealed; 0: not sealed */
    struct live_step step;
    struct live_delivery delivery;
    bool is_final_said; /* its job.final has been logged */
    unsigned retire_failures;
    int64_t retire_due_ms;
};

enum server_state {
    SERVER_UNKNOWN,
    SERVER_FINE,
    SERVER_UNREACHED,
    SERVER_NOT_TRUSTED,
    SERVER_KEY_REFUSED,
    SERVER_FAILING, /* it answers, but not as it should */
    SERVER_STATE_COUNT,
};
/* How a job ended, for status. */
struct node_final {
    int64_t at_us, job_id;
    const char *outcome; /* a string with static lifetime */
    char reason[NODE_REASON_BYTES];
};

struct node {
    const struct config *config;
    const char *config_path; /* for steps; NULL = none */
    struct http_client *http;
    struct spool spool;
    struct live *lives; /* in order of arrival */
    int epoll, inotify;
    int control_file_watch, live_watch; /* inotify, of state_dir/orders and of the spool; -1 none */
    bool is_stopping, is_draining;      /* by a signal: it exits when empty */
    bool is_drained, is_paused;         /* by an operator: nothing is claimed */
    bool is_control_due;                /* control files may have changed: read them */
    bool is_control_stuck;              /* a control file could not be removed: try again later */
    int64_t control_due_ms;
    bool is_disk_low, is_tool_broken; /* nothing is claimed while set */
    bool is_version_refused;          /* set by the server (version_ok): nothing is claimed */
    bool has_arrived;                 /* an unknown record has appeared: read the spool */
    bool has_unread;       /* some records cannot be read now, so their jobs are not known */
    bool is_config_broken; /* the configuration file that a step would read is invalid; nothing is
                              claimed */
    int64_t disk_free_bytes;
    bool is_status_due;  /* something that status shows has changed */
    bool is_key_refused; /* refused since the key was read: read it again before the next attempt */
    bool wakes_deliveries; /* the server is back: deliveries can skip their backoff */
    enum server_state server;
    int64_t server_since_us; /* wall clock */
    int64_t
        fine_since_us; /* wall clock: no trouble with the server since then, or since our start */
    int64_t server_due_ms; /* the next heartbeat */
    unsigned faults;       /* consecutive failures caused by this node */
    int64_t rest_until_ms; /* until when nothing is claimed because of them */
    char fault[NODE_REASON_BYTES];
    struct node_final finals[NODE_FINALS_MAX]; /* a ring buffer */
    unsigned final_count;
    char server_reason[NODE_REASON_BYTES];
};

int64_t soonest_ms(int64_t a, int64_t b); /* NODE_NEVER is later than any other time */

#endif
