/* proxy: between the nodes and the verifiers. Harms the calls that it is told to, and writes each
 * call and the verifier's answer down, whatever the node got to hear of it.
 *
 * One listener a node, so that a call's node is known; the verifiers take turns call by call. */
#ifndef LAB_PROXY_H
#define LAB_PROXY_H

#include "history.h"
#include "schedule.h"

struct proxy;
/* directory: with the verifiers' videos and SQLite database; database: its URL, or NULL. Borrowed.
 */
struct proxy *proxy_start(struct history *history, const struct lab_plan *plan,
                          const int verifier_ports[], const char *directory, const char *database);
int proxy_port(const struct proxy *proxy, int node);
void proxy_arm(struct proxy *proxy, const struct lab_event *event); /* of a call */
/* What hinders calls is forgotten; what only comes more than once still comes. */
void proxy_heal(struct proxy *proxy);
void proxy_stop(struct proxy *proxy); /* waits for its calls to end */

#endif
