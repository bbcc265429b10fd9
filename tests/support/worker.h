/* worker: a worker by hand, one HTTP call at a time, for tests of the verifier.
 *
 * With an epoch it behaves as ours, without one as a stock worker. Uploads media_tree(): a 360p
 * rendition made beforehand. Retries nothing. */
#ifndef SUPPORT_WORKER_H
#define SUPPORT_WORKER_H

#include "call.h"
#include "rig.h"

#include <stdbool.h>
#include <stdint.h>

struct worker {
    struct rig *rig;
    char key[128];
    bool sends_epoch;
    int64_t job, video, epoch; /* of the last claim */
    char slug[256];
    int64_t timeout_ms; /* of its uploads; 0: CALL_TIMEOUT_MS */
};

/* Registers it by `worker add`. */
struct worker worker_new(struct rig *rig, const char *name);

/* body NULL: GET. extra: one more header, or NULL. */
struct reply worker_call(const struct worker *worker, const char *path, const char *body,
                         const char *extra);
/* Until a verifier refuses the worker's key, which has ended: KEY_MEMORY_MS later at the latest,
 * but for a call that was sent before. */
void worker_wait_out(const struct worker *worker);
struct reply admin_call(const struct rig *rig, const char *path, const char *body);

/* Claim any job; false: there was none. */
bool worker_claim(struct worker *worker);
/* Releases a job that the agent holds and claims it, with the agent and its steps stopped. */
void worker_take_over(struct worker *worker, int64_t job);
/* job 0: any. */
struct reply worker_try_claim(struct worker *worker, int64_t job);

/* Raw octets with their SHA-256 to .../segment/<quality>/<name>. */
struct reply worker_put(const struct worker *worker, const char *quality, const char *name,
                        const char *data, size_t size);
void worker_put_tree(const struct worker *worker); /* 360p segment by segment, and finalize */
void worker_put_tars(const struct worker *worker); /* the same as tar.gz, as a stock worker does */
char *worker_tar(const struct worker *worker, const char *name, const char *members); /* path */

/* The body of a completion; token NULL: none. Owned. */
char *worker_completion(const char *token, const char *qualities);
#define WORKER_360P "[{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600}]"
struct reply worker_complete(const struct worker *worker, const char *token);
void worker_token(const struct worker *worker, char token[128]); /* a fresh one */

#endif
