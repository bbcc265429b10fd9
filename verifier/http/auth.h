/* auth: authentication. Workers by their API key, administrators by the secret in a file. Our keys
 * have 256 random bits and cost one SHA-256 and one lookup. A stock server's keys are slow to
 * verify (keys.h). A good key is good for a second without another lookup (key_memory.h).
 *
 * A good credential is never refused because of other requests from its address. Bad ones are
 * counted by address (limiter.h). Over the limit they are answered 429, and keys from that address
 * are looked up one at a time and without argon2id, so that a flood of guesses occupies one
 * connection of the store. Such refusals are logged up to AUTH_LOG_PER_S, then only counted: a
 * flood does not fill the disk. */
#ifndef VERIFIER_AUTH_H
#define VERIFIER_AUTH_H

#include "verifier/http/answer.h"

enum { AUTH_LOG_PER_S = 20, AUTH_THROTTLE_WAIT_MS = 2000 };

struct auth;
struct auth *auth_new(const char *admin_secret); /* NULL: no admin calls; copied */
void auth_free(struct auth *auth);
void auth_set_admin_secret(struct auth *auth, const char *admin_secret);

/* Has the caller's address shown too many bad credentials? Does not block. */
bool auth_is_limited(struct auth *auth, const struct request *request);
/* False: the request is answered. */
bool auth_worker(struct auth *auth, struct request *request, struct answer *answer);
bool auth_admin(struct auth *auth, struct request *request, struct answer *answer);
/* What the page reads, as page.access says. A secret that is sent is checked in any case. */
bool auth_page(struct auth *auth, struct request *request, struct answer *answer);
bool auth_has_admin(struct auth *auth); /* admin calls are possible */

/* True: one more refusal without a valid key may be logged. False: it is counted instead. */
bool auth_may_log(struct auth *auth, int64_t now_ms);
/* Call about once a second: logs how many refusals were not logged. */
void auth_tick(struct auth *auth);

#endif
