/* bench: a rig whose store reaches its PostgreSQL through a proxy that fails on cue. What the test
 * itself asks the database goes around the proxy. */
#ifndef STORE_FAULTS_BENCH_H
#define STORE_FAULTS_BENCH_H

#include "fault_proxy.h"
#include "postgres.h"
#include "store_rig.h"

struct bench {
    struct rig *rig;
    struct fault_proxy *proxy;
    struct postgres *server; /* NULL: the one of the whole run */
    int64_t job_id;          /* one job, not claimed */
};

struct bench bench_new(void);
/* With a server of its own, which may be stopped; options as of postgres.h, or NULL. */
struct bench bench_new_server(const char *const options[]);
void bench_free(struct bench *bench);

#endif
