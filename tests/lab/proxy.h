/* proxy: between the nodes and the verifiers. Harms the calls that it is told to, and writes each
 * call and the verifier's answer down, whatever the node got to hear of it.
 *
 * One listener a node, so that a call's node is known; the verifiers take turns call by call. */
#ifndef LAB_PROXY_H
#define LAB_PROXY_H

#include "history.h"
#include "schedule.h"

struct proxy;
/* videos: where the verifiers put what is uploaded. */
struct proxy *proxy_start(struct history *history, const struct lab_plan *plan,
                          const int verifier_ports[], const char *videos);
int proxy_port(const struct proxy *proxy, int node);
void proxy_arm(struct proxy *proxy, const struct lab_event *event); /* of a call */
void proxy_heal(struct proxy *proxy);                               /* what is armed is forgotten */
void proxy_stop(struct proxy *proxy);                               /* waits for its calls to end */

#endif
