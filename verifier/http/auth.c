#include "verifier/http/auth.h"

#include "base/clock.h"
#include "base/log.h"
#include "verifier/base/counters.h"
#include "verifier/base/deadline.h"
#include "verifier/http/limiter.h"
#include "verifier/store/store_key.h"

#include <stdlib.h>
#include <string.h>

struct auth {
    struct limiter *limiter;
    pthread_mutex_t throttle; /* for keys from addresses over the limit */
    pthread_mutex_t lock;     /* protects the members below */
    char *admin_secret;
    int64_t log_second;
    int logged;
    int64_t unlogged;
};

struct auth *auth_new(const char *admin_secret)
{
    struct auth *auth = must_calloc(1, sizeof *auth);
    auth->admin_secret = admin_secret ? must_strdup(admin_secret) : NULL;
    auth->limiter = limiter_new();
    must(pthread_mutex_init(&auth->throttle, NULL) == 0);
    must(pthread_mutex_init(&auth->lock, NULL) == 0);
    return auth;
}

static void forget_admin_secret(struct auth *auth)
{
    if (auth->admin_secret)
        explicit_bzero(auth->admin_secret, strlen(auth->admin_secret));
    free(auth->admin_secret);
    auth->admin_secret = NULL;
}

void auth_set_admin_secret(struct auth *auth, const char *admin_secret)
{
    pthread_mutex_lock(&auth->lock);
    forget_admin_secret(auth);
    auth->admin_secret = admin_secret ? must_strdup(admin_secret) : NULL;
    pthread_mutex_unlock(&auth->lock);
}

void auth_free(struct auth *auth)
{
    forget_admin_secret(auth);
    limiter_free(auth->limiter);
    pthread_mutex_destroy(&auth->throttle);
    pthread_mutex_destroy(&auth->lock);
    free(auth);
}

bool auth_may_log(struct auth *auth, int64_t now_ms)
{
    pthread_mutex_lock(&auth->lock);
    if (auth->log_second != now_ms / 1000) {
        auth->log_second = now_ms / 1000;
        auth->logged = 0;
    }
    bool may = auth->logged < AUTH_LOG_PER_S;
    auth->logged += may;
    auth->unlogged += !may;
    pthread_mutex_unlock(&auth->lock);
    return may;
}

void auth_tick(struct auth *auth)
{
    pthread_mutex_lock(&auth->lock);
    int64_t unlogged = auth->unlogged;
    auth->unlogged = 0;
    pthread_mutex_unlock(&auth->lock);
    if (unlogged > 0)
        log_warning("request.refusals_not_logged", LOG_INT("count", unlogged));
}

static bool refuse(struct auth *auth, struct request *request, struct answer *answer,
                   enum tailslate_problem problem, const char *detail)
{
    struct address address = address_of_text(request->client);
    enum limit limit = limiter_count(auth->limiter, &address, mono_ms());
    count(COUNT_AUTH_FAILURES, 1);
    if (limit == LIMIT_WITHIN) {
        answer_problem(answer, problem, detail);
        return false;
    }
    count(COUNT_RATE_LIMITED, 1);
    if (limit == LIMIT_REACHED)
        log_warning("auth.limited", LOG_TEXT("client", request->client),
                    LOG_INT("failures", LIMITER_FAILURES_MAX),
                    LOG_INT("window_s", LIMITER_WINDOW_MS / 1000));
    answer_problem(answer, TAILSLATE_PROBLEM_RATE_LIMITED,
                   "Too many requests with bad credentials.");
    answer_add_header(answer, "Retry-After", "%d", LIMITER_WINDOW_MS / 1000);
    return false;
}

bool auth_is_limited(struct auth *auth, const struct request *request)
{
    struct address address = address_of_text(request->client);
    return limiter_is_over(auth->limiter, &address, mono_ms());
}

/* False: the request is answered. */
static bool find_key(struct auth *auth, const char *key, enum store_key *found,
                     struct request *request, struct answer *answer)
{
    struct error err;
    bool is_narrow = auth_is_limited(auth, request);
    if (is_narrow && !deadline_lock(&auth->throttle, mono_ms() + AUTH_THROTTLE_WAIT_MS)) {
        count(COUNT_RATE_LIMITED, 1);
        answer_problem(answer, TAILSLATE_PROBLEM_STORE_UNAVAILABLE,
                       "Too many requests with bad credentials from this address.");
        return false;
    }
    /* No argon2id for an address over the limit; a key that was verified recently needs none. */
    struct store *store = request->app->store;
    int result = is_narrow ? store_worker_by_known_key(store, key, found, &request->worker, &err)
                           : store_worker_by_key(store, key, found, &request->worker, &err);
    if (is_narrow)
        pthread_mutex_unlock(&auth->throttle);
    if (result != 0)
        answer_error(answer, request, &err);
    return result == 0;
}

bool auth_worker(struct auth *auth, struct request *request, struct answer *answer)
{
    const char *key = request_header(request, "X-Worker-API-Key");
    enum store_key found;
    if (!key || !key[0])
        return refuse(auth, request, answer, TAILSLATE_PROBLEM_UNAUTHORIZED,
                      "The header X-Worker-API-Key is missing.");
    if (!find_key(auth, key, &found, request, answer))
        return false;
    switch (found) {
    case STORE_KEY_GOOD:
        return true;
    case STORE_KEY_DISABLED: /* a key that was valid is not a guess */
        count(COUNT_AUTH_FAILURES, 1);
        answer_problem(answer, TAILSLATE_PROBLEM_FORBIDDEN, "This worker is disabled.");
        return false;
    case STORE_KEY_OVER: /* nor is this: the node has not received its new key yet */
        count(COUNT_AUTH_FAILURES, 1);
        answer_problem(answer, TAILSLATE_PROBLEM_UNAUTHORIZED,
                       "The API key was revoked or has expired.");
        return false;
    case STORE_KEY_UNKNOWN:
        break;
    }
    return refuse(auth, request, answer, TAILSLATE_PROBLEM_UNAUTHORIZED,
                  "The API key is not valid.");
}

static bool is_admin_secret(struct auth *auth, const char *secret)
{
    pthread_mutex_lock(&auth->lock);
    bool is_it = auth->admin_secret && hash_equal(auth->admin_secret, secret);
    pthread_mutex_unlock(&auth->lock);
    return is_it;
}

bool auth_admin(struct auth *auth, struct request *request, struct answer *answer)
{
    const char *secret = request_header(request, "X-Admin-Secret");
    if (!secret || !secret[0])
        return refuse(auth, request, answer, TAILSLATE_PROBLEM_UNAUTHORIZED,
                      "The header X-Admin-Secret is missing.");
    if (!is_admin_secret(auth, secret))
        return refuse(auth, request, answer, TAILSLATE_PROBLEM_FORBIDDEN,
                      "The admin secret is wrong.");
    return true;
}

bool auth_page(struct auth *auth, struct request *request, struct answer *answer)
{
    enum page_access access = request->app->page_access;
    switch (access) {
    case PAGE_OFF:
        answer_problem(answer, TAILSLATE_PROBLEM_NOT_FOUND, "The page is off (page.access).");
        return false;
    case PAGE_READ:
        if (!request_header(request, "X-Admin-Secret"))
            return true;
        break;
    case PAGE_LOGIN:
        break;
    }
    return auth_admin(auth, request, answer);
}

bool auth_has_admin(struct auth *auth)
{
    pthread_mutex_lock(&auth->lock);
    bool has_it = auth->admin_secret != NULL;
    pthread_mutex_unlock(&auth->lock);
    return has_it;
}
