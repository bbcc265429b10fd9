/* fault_proxy: stands between a program and a server of 127.0.0.1, byte for byte, until it is told
 * to fail.
 *
 *     struct fault_proxy *proxy = fault_proxy_start(port);
 *     fault_proxy_cut(proxy, "COMMIT", FAULT_ANSWER_LOST);   …   fault_proxy_cuts(proxy) == 1
 *
 * A cut happens once, at the next message towards the server that holds a text which ends with
 * these words and a zero, as PostgreSQL's do; both ends of that connection then see it closed. What
 * is told applies to open and to new connections. */
#ifndef SUPPORT_FAULT_PROXY_H
#define SUPPORT_FAULT_PROXY_H

#include <stdbool.h>

enum fault {
    FAULT_NOT_PASSED,  /* the message never reaches the server */
    FAULT_ANSWER_LOST, /* the server has it and has answered; the answer goes nowhere */
};

struct fault_proxy;
struct fault_proxy *fault_proxy_start(int upstream_port);
void fault_proxy_stop(struct fault_proxy *proxy);
int fault_proxy_port(const struct fault_proxy *proxy);

void fault_proxy_cut(struct fault_proxy *proxy, const char *words, enum fault fault);
/* From the next cut on, or at once: new connections are closed as soon as they are made. */
void fault_proxy_refuse_after_cut(struct fault_proxy *proxy);
void fault_proxy_refuse(struct fault_proxy *proxy, bool yes);
/* A network that swallows everything: connections are made and stay open, nothing passes. */
void fault_proxy_swallow(struct fault_proxy *proxy, bool yes);
int fault_proxy_cuts(struct fault_proxy *proxy);
int fault_proxy_connections(struct fault_proxy *proxy); /* so many were made to it */
/* How often a client sent something after the server had answered it. */
int fault_proxy_round_trips(struct fault_proxy *proxy);

#endif
