#include "verifier/http/routes_page.h"

#include "base/clock.h"
#include "lib/uuid.h"
#include "verifier/base/number.h"
#include "verifier/base/wakeup.h"
#include "verifier/http/openapi.h"
#include "verifier/http/overview.h"
#include "verifier/http/page.h"

#include <stdio.h>
#include <string.h>

enum { NONCE_BYTES = 33, OVERVIEW_WAIT_MAX_S = 25 };

/* A page has two of them: its style and its script. */
static char *page_with(const char *nonce)
{
    static const char mark[] = "{{nonce}}";
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    must(out);
    const char *rest = page_html;
    for (const char *at; (at = strstr(rest, mark)); rest = at + sizeof mark - 1)
        fprintf(out, "%.*s%s", (int)(at - rest), rest, nonce);
    fputs(rest, out);
    must(fclose(out) == 0 && text);
    return text;
}

void route_page(struct request *request, struct answer *answer)
{
    char nonce[NONCE_BYTES];
    if (request->app->page_access == PAGE_OFF)
        return answer_problem(answer, TAILSLATE_PROBLEM_NOT_FOUND,
                              "The page is off (page.access).");
    snprintf(nonce, sizeof nonce, "%016llx%016llx", (unsigned long long)random_u64(),
             (unsigned long long)random_u64());
    answer_text(answer, "text/html; charset=utf-8", page_with(nonce));
    answer_add_header(answer, "Content-Security-Policy",
                      "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s';"
                      " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
                      " frame-ancestors 'none'",
                      nonce, nonce);
    answer_add_header(answer, "X-Content-Type-Options", "nosniff");
    answer_add_header(answer, "Referrer-Policy", "no-referrer");
}

static bool parse_wait(const struct request *request, int64_t *wait_s, struct answer *answer)
{
    const char *wait = request_query(request, "wait");
    *wait_s = 0;
    if (!wait || (number_parse(wait, wait_s) && *wait_s <= OVERVIEW_WAIT_MAX_S))
        return true;
    answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD, "wait: must be 0 to 25 seconds");
    return false;
}

static void answer_overview(struct answer *answer, char *text, const char *etag)
{
    answer_json(answer, text ? 200 : 304, text ? text : must_strdup(""));
    answer_add_header(answer, "ETag", "\"%s\"", etag);
}

/* False: nothing has changed, and the caller may wait. */
static bool try_overview(struct request *request, struct answer *answer, int64_t until_ms)
{
    char *text, etag[OVERVIEW_ETAG_BYTES];
    struct error err;
    if (overview_take(request->app->overview, request_query(request, "version"), &text, etag,
                      &err) != 0)
        answer_error(answer, request, &err);
    else if (text || mono_ms() >= until_ms || wakeup_is_closed(request->app->wakeup) ||
             request_client_is_gone(request))
        answer_overview(answer, text, etag);
    else
        return false;
    return true;
}

void route_overview(struct request *request, struct answer *answer)
{
    int64_t wait_s;
    struct wakeup *wakeup = request->app->wakeup;
    if (!parse_wait(request, &wait_s, answer))
        return;
    bool waits = wait_s > 0 && overview_begin_wait(request->app->overview);
    int64_t until_ms = mono_ms() + (waits ? wait_s * 1000 : 0);
    while (!try_overview(request, answer, until_ms)) {
        int64_t left_ms = until_ms - mono_ms();
        if (left_ms > 0) /* for the shutdown; what else it tells may be too early */
            wakeup_wait(wakeup, wakeup_count(wakeup),
                        left_ms < OVERVIEW_FRESH_MS ? left_ms : OVERVIEW_FRESH_MS);
    }
    if (waits)
        overview_end_wait(request->app->overview);
}

void route_openapi(struct request *request, struct answer *answer)
{
    (void)request;
    answer_json(answer, 200, openapi_document());
}
