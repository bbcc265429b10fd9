#include "auth.h"

#include "counters.h"

#include "tailslate/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct address {
    char text[REQUEST_PEER_BYTES]; /* "" = free */
    int64_t window_start_ms;
    int failures;
};

struct auth {
    char *admin_secret;
    pthread_mutex_t lock;
    struct address addresses[AUTH_ADDRESSES_MAX];
};

struct auth *auth_new(const char *admin_secret)
{
    struct auth *auth = must_calloc(1, sizeof *auth);
    auth->admin_secret = admin_secret ? must_strdup(admin_secret) : NULL;
    must(pthread_mutex_init(&auth->lock, NULL) == 0);
    return auth;
}

void auth_free(struct auth *auth)
{
    if (auth->admin_secret)
        explicit_bzero(auth->admin_secret, strlen(auth->admin_secret));
    free(auth->admin_secret);
    pthread_mutex_destroy(&auth->lock);
    free(auth);
}

/* Its place, or else the one that has been quiet for longest. */
static struct address *place_of(struct auth *auth, const char *text)
{
    struct address *oldest = &auth->addresses[0];
    for (size_t i = 0; i < AUTH_ADDRESSES_MAX; i++) {
        struct address *address = &auth->addresses[i];
        if (strcmp(address->text, text) == 0)
            return address;
        if (address->window_start_ms < oldest->window_start_ms)
            oldest = address;
    }
    *oldest = (struct address){0};
    snprintf(oldest->text, sizeof oldest->text, "%s", text);
    return oldest;
}

bool auth_count_failure(struct auth *auth, const char *address, int64_t now_ms)
{
    pthread_mutex_lock(&auth->lock);
    struct address *place = place_of(auth, address);
    if (place->failures == 0 || now_ms - place->window_start_ms >= AUTH_WINDOW_MS) {
        place->failures = 0;
        place->window_start_ms = now_ms;
    }
    place->failures++;
    bool too_many = place->failures > AUTH_FAILURES_MAX;
    pthread_mutex_unlock(&auth->lock);
    return too_many;
}

static bool refuse(struct auth *auth, struct request *request, struct answer *answer,
                   enum problem problem, const char *detail)
{
    count(COUNT_AUTH_FAILURES, 1);
    if (auth_count_failure(auth, request->peer, mono_ms())) {
        answer_problem(answer, PROBLEM_RATE_LIMITED, "Too many calls with bad credentials.");
        answer_add_header(answer, "Retry-After", "%d", AUTH_WINDOW_MS / 1000);
        return false;
    }
    answer_problem(answer, problem, detail);
    return false;
}

bool auth_worker(struct auth *auth, struct request *request, struct answer *answer)
{
    const char *key = request_header(request, "X-Worker-API-Key");
    if (!key || !key[0])
        return refuse(auth, request, answer, PROBLEM_UNAUTHORIZED,
                      "The header X-Worker-API-Key is missing.");
    enum store_key found;
    struct error err;
    if (store_worker_by_key(request->app->store, key, &found, &request->worker, &err) != 0) {
        answer_error(answer, request, &err);
        return false;
    }
    switch (found) {
    case STORE_KEY_GOOD:
        return true;
    case STORE_KEY_DISABLED: /* a key that was right is no guess */
        count(COUNT_AUTH_FAILURES, 1);
        answer_problem(answer, PROBLEM_FORBIDDEN, "This worker is disabled.");
        return false;
    case STORE_KEY_UNKNOWN:
        break;
    }
    return refuse(auth, request, answer, PROBLEM_UNAUTHORIZED, "The API key is not valid.");
}

bool auth_admin(struct auth *auth, struct request *request, struct answer *answer)
{
    const char *secret = request_header(request, "X-Admin-Secret");
    if (!secret || !secret[0])
        return refuse(auth, request, answer, PROBLEM_UNAUTHORIZED,
                      "The header X-Admin-Secret is missing.");
    if (!auth->admin_secret || !hash_equal(auth->admin_secret, secret))
        return refuse(auth, request, answer, PROBLEM_FORBIDDEN, "The admin secret is wrong.");
    return true;
}
