#include "verifier/http/live.h"

#include "verifier/base/address.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct live {
    pthread_mutex_t lock;
    struct tls_credentials *credentials; /* NULL: no TLS */
    char trusted_proxy[ADDRESS_TEXT_BYTES];
};

struct live *live_new(const struct tls *tls, const char *trusted_proxy)
{
    struct live *live = must_calloc(1, sizeof *live);
    must(pthread_mutex_init(&live->lock, NULL) == 0);
    live_change(live, tls, trusted_proxy);
    return live;
}

void live_free(struct live *live)
{
    if (!live)
        return;
    tls_credentials_release(live->credentials);
    pthread_mutex_destroy(&live->lock);
    free(live);
}

void live_change(struct live *live, const struct tls *tls, const char *trusted_proxy)
{
    struct tls_credentials *fresh = tls->certificate ? tls_credentials_new(tls) : NULL;
    pthread_mutex_lock(&live->lock);
    struct tls_credentials *former = live->credentials;
    live->credentials = fresh;
    snprintf(live->trusted_proxy, sizeof live->trusted_proxy, "%s", trusted_proxy);
    pthread_mutex_unlock(&live->lock);
    tls_credentials_release(former);
}

struct tls_credentials *live_begin_session(struct live *live, void *session)
{
    pthread_mutex_lock(&live->lock);
    struct tls_credentials *used = tls_credentials_use(live->credentials, session);
    pthread_mutex_unlock(&live->lock);
    return used;
}

bool live_is_trusted_proxy(struct live *live, const char *client)
{
    pthread_mutex_lock(&live->lock);
    bool is_it = address_is_one_host(client, live->trusted_proxy);
    pthread_mutex_unlock(&live->lock);
    return is_it;
}
