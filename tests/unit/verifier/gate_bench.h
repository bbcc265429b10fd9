/* gate_bench: a gate and a real Redis of one test. */
#ifndef GATE_BENCH_H
#define GATE_BENCH_H

#include "redis.h"
#include "verifier/gate/gate.h"

#define BENCH_JOB   7
#define BENCH_TOKEN "7-0b9bd1d4-5c4e-4b1d-9a39-0a4b8a0a8f11"
#define BENCH_KEY                                                                                  \
    "vlog:completion_token:"                                                                       \
    "7"                                                                                            \
    ":" BENCH_TOKEN
#define BENCH_OTHER "processing:3f1d2c4b-5a69-4788-8796-a5b4c3d2e1f0"

enum {
    BENCH_BACK_MS = 60 * 1000, /* pauses grow to 30 s, and this machine may be busy */
    BENCH_SOON_MS = 600,       /* no wait of a second in it */
};

struct gate_bench {
    struct redis *redis;
    struct gate *gate;
};

/* Its log, which tells of each change, goes into a file beside that Redis, in place of stderr. */
struct gate *bench_open(const struct redis *redis, const char *url, const char *password_file);
struct gate *bench_gate(const struct redis *redis, const char *password_file);
struct gate_bench bench_new(void); /* both are up, and the gate is closed */
void bench_free(struct gate_bench *bench);

/* Of a gate that was opened by the above. */
void bench_wait(struct gate *gate, enum gate_state state, int64_t timeout_ms);
struct gate_counts bench_counts(struct gate *gate);
/* Enters by BENCH_TOKEN; how long it took. */
int64_t bench_enter(struct gate *gate, struct gate_pass *pass);

#endif
