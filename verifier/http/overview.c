#include "verifier/http/overview.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "verifier/base/deadline.h"
#include "verifier/db/db.h"
#include "verifier/http/overview_document.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct overview {
    struct app *app;
    atomic_int waits;
    pthread_mutex_t lock; /* held while the document is built */
    int64_t built_ms;
    char *text; /* owned; NULL: the last build failed, with `failure` */
    char etag[OVERVIEW_ETAG_BYTES];
    struct error failure;
};

struct overview *overview_new(struct app *app)
{
    struct overview *overview = must_calloc(1, sizeof *overview);
    overview->app = app;
    overview->built_ms = mono_ms() - OVERVIEW_FRESH_MS - 1;
    must(pthread_mutex_init(&overview->lock, NULL) == 0);
    return overview;
}

void overview_free(struct overview *overview)
{
    pthread_mutex_destroy(&overview->lock);
    free(overview->text);
    free(overview);
}

static void build(struct overview *overview)
{
    free(overview->text);
    overview->text = overview_document(overview->app, overview->etag, &overview->failure);
    overview->built_ms = mono_ms();
}

int overview_take(struct overview *overview, const char *known, char **text,
                  char etag[OVERVIEW_ETAG_BYTES], struct error *err)
{
    *text = NULL;
    if (!deadline_lock(&overview->lock, mono_ms() + OVERVIEW_TAKE_MS))
        return error_set(err, ERROR_TEMPORARY, DB_BUSY, "the overview is not ready in time");
    if (mono_ms() - overview->built_ms >= OVERVIEW_FRESH_MS)
        build(overview);
    bool is_built = overview->text != NULL;
    if (!is_built)
        *err = overview->failure;
    else if (!known || strcmp(known, overview->etag) != 0)
        *text = must_strdup(overview->text);
    memcpy(etag, overview->etag, OVERVIEW_ETAG_BYTES);
    pthread_mutex_unlock(&overview->lock);
    return is_built ? 0 : -1;
}

bool overview_begin_wait(struct overview *overview)
{
    if (atomic_fetch_add(&overview->waits, 1) < OVERVIEW_WAITS_MAX)
        return true;
    atomic_fetch_sub(&overview->waits, 1);
    return false;
}

void overview_end_wait(struct overview *overview)
{
    atomic_fetch_sub(&overview->waits, 1);
}
