#include "verifier/http/routes.h"

#include "verifier/base/number.h"
#include "verifier/http/complete.h"
#include "verifier/http/routes_admin.h"
#include "verifier/http/routes_files.h"
#include "verifier/http/routes_health.h"
#include "verifier/http/routes_job.h"
#include "verifier/http/routes_page.h"
#include "verifier/http/routes_segments.h"
#include "verifier/http/routes_worker.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    PARTS_MAX = 8,
};
#define GIB ((int64_t)1024 * MIB)

/* Only uploads are large: a rendition of a long video in one archive may have tens of GiB. */
#define SMALL  BODY_TEXT, 256 * KIB, 30 * SECOND_MS
#define NOBODY BODY_NONE, 64 * KIB, 30 * SECOND_MS

static const struct route routes[] = {
    {"POST", "/api/worker/register", AUTH_ADMIN, SMALL, NULL, route_register},
    {"POST", "/api/worker/heartbeat", AUTH_WORKER, SMALL, NULL, route_heartbeat},
    {"POST", "/api/worker/claim", AUTH_WORKER, BODY_NONE, 64 * KIB, 2 * MINUTE_MS, NULL,
     route_claim},
    {"GET, POST", "/api/reencode/claim", AUTH_WORKER, NOBODY, NULL, route_reencode_claim},
    {"POST", "/api/worker/{id}/progress", AUTH_WORKER, SMALL, NULL, route_progress},
    {"POST", "/api/worker/{id}/complete", AUTH_WORKER, SMALL, NULL, route_complete},
    {"POST", "/api/worker/{id}/fail", AUTH_WORKER, SMALL, NULL, route_fail},
    {"GET", "/api/worker/{id}/verify-complete", AUTH_WORKER, NOBODY, NULL, route_verify_complete},
    {"GET", "/api/worker/source/{id}", AUTH_WORKER, BODY_NONE, 64 * KIB, 24 * 60 * MINUTE_MS, NULL,
     route_source},
    {"POST", "/api/worker/upload/{id}/segment/{quality}/{name}", AUTH_WORKER, BODY_RAW, 512 * MIB,
     60 * MINUTE_MS, route_segment_open, route_segment},
    {"GET", "/api/worker/upload/{id}/segments/status", AUTH_WORKER, NOBODY, NULL,
     route_segments_status},
    {"POST", "/api/worker/upload/{id}/segment/finalize", AUTH_WORKER, SMALL, NULL,
     route_segment_finalize},
    {"POST", "/api/worker/upload/{id}/quality/{quality}", AUTH_WORKER, BODY_MULTIPART, 64 * GIB,
     24 * 60 * MINUTE_MS, route_tar_open, route_quality_tar},
    {"POST", "/api/worker/upload/{id}/finalize", AUTH_WORKER, BODY_MULTIPART, 64 * MIB,
     60 * MINUTE_MS, route_tar_open, route_finalize_tar},
    {"GET", "/api/workers", AUTH_ADMIN, NOBODY, NULL, route_workers},
    {"POST", "/api/workers/{name}/revoke", AUTH_ADMIN, NOBODY, NULL, route_revoke},
    {"GET", "/api/jobs", AUTH_ADMIN, NOBODY, NULL, route_jobs},
    {"GET, DELETE", "/api/jobs/{id}", AUTH_ADMIN, NOBODY, NULL, route_one_job},
    {"POST", "/api/jobs/retry", AUTH_ADMIN, NOBODY, NULL, route_jobs_retry},
    {"POST", "/api/jobs/{id}/retry", AUTH_ADMIN, NOBODY, NULL, route_job_retry},
    {"POST", "/api/jobs/{id}/cancel", AUTH_ADMIN, NOBODY, NULL, route_job_cancel},
    {"POST", "/api/jobs/{id}/release", AUTH_ADMIN, NOBODY, NULL, route_job_release},
    {"POST", "/api/jobs/{id}/priority", AUTH_ADMIN, SMALL, NULL, route_job_priority},
    {"POST", "/api/jobs/{id}/retranscode", AUTH_ADMIN, SMALL, NULL, route_job_retranscode},
    {"GET", "/api/health", AUTH_NONE, NOBODY, NULL, route_health},
    {"GET", "/readyz", AUTH_NONE, NOBODY, NULL, route_health},
    {"GET", "/healthz", AUTH_NONE, NOBODY, NULL, route_alive},
    {"GET", "/metrics", AUTH_NONE, NOBODY, NULL, route_metrics},
    {"GET", "/", AUTH_NONE, NOBODY, NULL, route_page},
    {"GET", "/api/overview", AUTH_PAGE, NOBODY, NULL, route_overview},
    {"GET", "/api/openapi.json", AUTH_NONE, NOBODY, NULL, route_openapi},
};
enum { ROUTE_COUNT = sizeof routes / sizeof routes[0] };

static const struct {
    route_handler *run;
    const char *arguments;
} queries[] = {
    {route_claim, "job_id wait"},     {route_segments_status, "quality"},
    {route_overview, "wait version"}, {route_jobs, "status worker since limit before"},
    {route_one_job, "files"},         {route_jobs_retry, "status after"},
};

const struct route *routes_table(size_t *count)
{
    *count = ROUTE_COUNT;
    return routes;
}

const char *route_query(const struct route *route)
{
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        if (queries[i].run == route->run)
            return queries[i].arguments;
    return "";
}

static bool begins_with(const struct route *route, const char *path)
{
    return strncmp(route->pattern, path, strlen(path)) == 0;
}

enum lane route_lane(const struct route *route)
{
    switch (route->auth) {
    case AUTH_NONE:
        return LANE_HEALTH;
    case AUTH_PAGE:
        return LANE_PAGE;
    case AUTH_WORKER:
        if (begins_with(route, "/api/worker/upload/") || begins_with(route, "/api/worker/source/"))
            return LANE_FILES;
        if (route->run == route_complete || route->run == route_verify_complete)
            return LANE_COMPLETE;
        return LANE_CALLS;
    case AUTH_ADMIN:
        return LANE_CALLS;
    }
    return LANE_CALLS;
}

static const char *names[ROUTE_COUNT + 1];

size_t routes_names(const char *const **out)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        names[i] = routes[i].pattern;
    names[ROUTE_COUNT] = "none";
    *out = names;
    return ROUTE_COUNT + 1;
}

size_t route_index(const struct route *route)
{
    return route ? (size_t)(route - routes) : ROUTE_COUNT;
}

struct part {
    const char *start;
    size_t length;
};

static size_t split(const char *path, struct part parts[PARTS_MAX])
{
    size_t count = 0;
    while (*path == '/' && count < PARTS_MAX) {
        path++;
        parts[count].start = path;
        parts[count].length = strcspn(path, "/");
        path += parts[count++].length;
    }
    return *path ? 0 : count;
}

static bool is(struct part part, const char *text)
{
    return strlen(text) == part.length && memcmp(part.start, text, part.length) == 0;
}

enum fit { FIT, MISFIT, BAD_QUALITY, BAD_NUMBER };

static enum fit fit_part(struct part pattern, struct part part, struct request *request)
{
    char text[REQUEST_NAME_BYTES];
    if (pattern.start[0] != '{')
        return pattern.length == part.length && memcmp(pattern.start, part.start, part.length) == 0
                   ? FIT
                   : MISFIT;
    if (part.length == 0 || part.length >= sizeof text)
        return MISFIT;
    memcpy(text, part.start, part.length);
    text[part.length] = '\0';
    if (is(pattern, "{id}"))
        return number_parse(text, &request->number) && request->number > 0 ? FIT : BAD_NUMBER;
    if (is(pattern, "{quality}"))
        return tailslate_quality_parse(text, &request->quality) ? FIT : BAD_QUALITY;
    memcpy(request->name, text, part.length + 1);
    return FIT;
}

/* A bad parameter counts only where all literal components match. */
static enum fit fit_route(const struct route *route, const struct part *parts, size_t count,
                          struct request *request)
{
    struct part pattern[PARTS_MAX];
    enum fit worst = FIT;
    if (split(route->pattern, pattern) != count)
        return MISFIT;
    for (size_t i = 0; i < count; i++) {
        enum fit fit = fit_part(pattern[i], parts[i], request);
        if (fit == MISFIT)
            return MISFIT;
        if (fit != FIT)
            worst = fit;
    }
    return worst;
}

static bool method_fits(const char *wanted, const char *method)
{
    size_t length = strlen(method);
    if (strcmp(method, "HEAD") == 0)
        return strncmp(wanted, "GET", 3) == 0;
    for (;;) {
        size_t size = strcspn(wanted, ",");
        if (size == length && memcmp(wanted, method, size) == 0)
            return true;
        if (!wanted[size])
            return false;
        wanted += size + 2; /* ", " */
    }
}

static void answer_no_route(struct answer *answer, enum fit nearest, const char *allowed)
{
    if (allowed) {
        answer_problem(answer, TAILSLATE_PROBLEM_METHOD, NULL);
        /* A path has one row; HEAD goes with GET. */
        answer_add_header(answer, "Allow", strncmp(allowed, "GET", 3) == 0 ? "%s, HEAD" : "%s",
                          allowed);
        return;
    }
    switch (nearest) {
    case BAD_QUALITY:
        answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "The path names an unknown quality.");
        break;
    case BAD_NUMBER:
        answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                       "The ID in the path is not a positive integer.");
        break;
    case FIT:
    case MISFIT:
        answer_problem(answer, TAILSLATE_PROBLEM_NOT_FOUND, "There is no such route.");
        break;
    }
}

const struct route *route_find(struct request *request, struct answer *answer)
{
    struct part parts[PARTS_MAX];
    size_t count = split(request->path, parts);
    enum fit nearest = MISFIT;
    const char *allowed = NULL;
    for (size_t i = 0; i < ROUTE_COUNT && count > 0; i++) {
        enum fit fit = fit_route(&routes[i], parts, count, request);
        bool fits = method_fits(routes[i].method, request->method);
        if (fit == FIT && fits)
            return &routes[i];
        if (fit == FIT)
            allowed = routes[i].method;
        else if (fit != MISFIT && fits)
            nearest = fit;
    }
    answer_no_route(answer, nearest, allowed);
    return NULL;
}
