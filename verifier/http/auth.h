/* auth: who calls. Workers by their API key, admins by the secret of a file. A key of ours is 256
 * random bits: one SHA-256 and one look. A stock server's is slow to look at (keys.h); what is
 * remembered of it is nothing that a revocation would have to reach.
 *
 * A good credential is never refused for what its neighbours do. Bad ones are counted per address
 * (limiter.h); over a generous number a minute they are answered 429, and keys from such an address
 * are looked up one at a time, so that a flood of guesses holds one of the store's connections and
 * not all, and they cause none of the work of a slow key. Such refusals are logged up to
 * AUTH_LOG_PER_S, then counted: a flood fills no disk. */
#ifndef VERIFIER_AUTH_H
#define VERIFIER_AUTH_H

#include "verifier/http/answer.h"

enum { AUTH_LOG_PER_S = 20, AUTH_THROTTLE_WAIT_MS = 2000 };

struct auth;
struct auth *auth_new(const char *admin_secret); /* NULL: no admin calls; copied */
void auth_free(struct auth *auth);

/* False: the answer is written. */
bool auth_worker(struct auth *auth, struct request *request, struct answer *answer);
bool auth_admin(struct auth *auth, struct request *request, struct answer *answer);

/* May one more refusal without a valid key be logged? Counts the others. */
bool auth_may_log(struct auth *auth, int64_t now_ms);
/* To be called about once a second: says how many refusals were not logged. */
void auth_tick(struct auth *auth);

#endif
