/* auth: who calls. Workers by their API key (256 random bits: one SHA-256 and one look, no cache
 * that a revocation would have to reach), admins by the secret of a file.
 *
 * A good credential is never slowed down. Bad ones are counted per address, and over a generous
 * number a minute they are answered 429, so that logs and database are spared. */
#ifndef VERIFIER_AUTH_H
#define VERIFIER_AUTH_H

#include "request.h"

struct auth;
struct auth *auth_new(const char *admin_secret); /* NULL: no admin calls; copied */
void auth_free(struct auth *auth);

/* False: the answer is written. */
bool auth_worker(struct auth *auth, struct request *request, struct answer *answer);
bool auth_admin(struct auth *auth, struct request *request, struct answer *answer);

/* The limiter, by itself: counts a failure of this address, and says whether it is too many. */
enum { AUTH_ADDRESSES_MAX = 1024, AUTH_FAILURES_MAX = 120, AUTH_WINDOW_MS = 60 * 1000 };
bool auth_count_failure(struct auth *auth, const char *address, int64_t now_ms);

#endif
