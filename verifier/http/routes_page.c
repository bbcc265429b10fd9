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

static void answer_unchanged(struct request *request, struct answer *answer)
{
    answer_overview(answer, NULL, request_query(request, "version"));
}

static void end_wait(void *scratch)
{
    overview_end_wait(scratch);
}

static void begin_wait(struct request *request, int64_t wait_s)
{
    struct overview *overview = request->app->overview;
    bool waits = wait_s > 0 && overview_begin_wait(overview);
    request->wait = (struct request_wait){.what = WAIT_FOR_CHANGE,
                                          .until_ms = mono_ms() + (waits ? wait_s * 1000 : 0),
                                          .again_ms = OVERVIEW_FRESH_MS,
                                          .give_up = answer_unchanged};
    if (!waits)
        return;
    request->scratch = overview;
    request->free_scratch = end_wait;
}

void route_overview(struct request *request, struct answer *answer)
{
    int64_t wait_s;
    char *text, etag[OVERVIEW_ETAG_BYTES];
    struct error err;
    if (!parse_wait(request, &wait_s, answer))
        return;
    if (!request->wait.what)
        begin_wait(request, wait_s);
    if (overview_take(request->app->overview, request_query(request, "version"), &text, etag,
                      &err) != 0)
        answer_error(answer, request, &err);
    else if (text || mono_ms() >= request->wait.until_ms || wakeup_is_closed(request->app->wakeup))
        answer_overview(answer, text, etag);
}

void route_openapi(struct request *request, struct answer *answer)
{
    (void)request;
    answer_json(answer, 200, openapi_document());
}
