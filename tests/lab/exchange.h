/* exchange: a call of a node as the proxy sees it. */
#ifndef LAB_EXCHANGE_H
#define LAB_EXCHANGE_H

#include "history.h"
#include "peer_wire.h"
#include "schedule.h"

/* One call of a node, and what was done about it. */
struct exchange {
    struct proxy *proxy;
    int fd, node; /* fd: of the node; -1: it waits for no answer */
    struct wire_bytes request, answer;
    enum lab_call call;
    int64_t job;
    enum lab_fault fault; /* LAB_FAULT_COUNT: none */
    int64_t asked_us, answered_us;
    bool passed, is_forged;
};

void exchange_look(struct exchange *exchange);        /* what the request asks for: call, job */
int exchange_status(const struct wire_bytes *answer); /* 0: none */
int64_t exchange_epoch(const struct wire_bytes *request);
/* What is written down of it (history.h); NULL: it is no news. Owned. */
struct json *exchange_line(const struct exchange *exchange);

#endif
