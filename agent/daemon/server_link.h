/* server_link: what the agent knows of the server: whether it answers and accepts the key, and how
 * fast reports may be sent to it. Owns the HTTP client. */
#ifndef AGENT_SERVER_LINK_H
#define AGENT_SERVER_LINK_H

#include "agent/api/http.h"
#include "agent/base/config.h"

enum { SERVER_REASON_BYTES = 256 };

struct node;

enum server_state {
    SERVER_UNKNOWN,
    SERVER_FINE,
    SERVER_UNREACHED,
    SERVER_NOT_TRUSTED,
    SERVER_KEY_REFUSED,
    SERVER_FAILING, /* it answers, but not as it should */
    SERVER_STATE_COUNT,
};
const char *server_state_name(enum server_state state);

/* Which reports can skip their backoff. */
enum server_wake {
    SERVER_WAKE_NONE,
    SERVER_WAKE_WAITING, /* the server is back */
    SERVER_WAKE_ALL,     /* the key is new: also those on hold, perhaps because of the key */
};

struct server_link {
    struct http_client *client;
    enum server_state state;
    char reason[SERVER_REASON_BYTES]; /* of the state; "" = none */
    const char *hint;                 /* what a person can do; NULL: nothing */
    int64_t since_us;                 /* wall clock */
    int64_t fine_since_us;            /* wall clock: no trouble since then, or since our start */
    int64_t next_ms;                  /* the next heartbeat */
    bool is_key_refused;              /* since it was read: read it again before the next attempt */
    enum server_wake wake;
    int64_t not_before_ms; /* retry.rate_per_second: the next report */
};

/* -1: the key file or the URL is invalid. */
int server_link_open(struct node *node, struct error *err);
void server_link_close(struct node *node); /* cancels all requests, without callbacks */
/* Takes over a client of a new configuration. Cancels the requests of the former one. */
void server_link_replace(struct node *node, struct http_client *client);

/* Logs only when the state changes, or what a person can do about it. */
void server_link_note(struct node *node, const struct http_answer *answer);
void server_link_note_heartbeat(struct node *node, int64_t next_ms);
void server_link_note_key_refused(struct node *node);
/* Call before an attempt: uses a key that was rotated in its file. */
void server_link_renew_key(struct node *node);
/* What has come up since the last call. */
enum server_wake server_link_take_wake(struct node *node);
/* A report was sent now. */
void server_link_note_report(struct node *node, int64_t now_ms);

/* From the answer to a request that is not about a job. */
enum server_state server_state_of_class(enum tailslate_answer_class class);
enum server_state server_state_of(const struct http_answer *answer,
                                  char reason[SERVER_REASON_BYTES]);

#endif
