/* server_link: what is known of the server. */
#ifndef AGENT_SERVER_LINK_H
#define AGENT_SERVER_LINK_H

#include "agent/daemon/node.h"

const char *server_state_name(enum server_state state);

/* Logs only when the state changes. */
void node_server_is(struct node *node, enum server_state state, const char *reason);
/* From the answer to a request that is not about a job. */
enum server_state node_server_state(enum tailslate_answer_class class);
enum server_state node_server_state_of(const struct http_answer *answer, char *reason,
                                       size_t capacity);

/* Call before an attempt: uses a key that was rotated in its file. Reports on hold may be on hold
 * because of the key and are presented again. */
void node_renew_key(struct node *node);

#endif
