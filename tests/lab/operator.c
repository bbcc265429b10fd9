/* The operator of a run: adds jobs, rotates keys, and does to jobs what the schedule says. */
#include "base/clock.h"
#include "call.h"
#include "fleet.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AGAIN_MS = 200, TRIES_MAX = 300, VERB_MS = 8000 };

/* ---- jobs ------------------------------------------------------------------------------------ */

static void note_job(struct fleet *fleet, int index, int64_t id)
{
    pthread_mutex_lock(&fleet->lock);
    fleet->jobs[index] = id;
    pthread_mutex_unlock(&fleet->lock);
    struct json *line = history_line("added");
    json_set_int(line, "job", id);
    history_write(fleet->history, line);
}

/* Was it added although the command failed? 0: no. */
static int64_t find_job(struct fleet *fleet, const char *slug)
{
    struct error ignored;
    int64_t id = 0;
    const char *found;
    RUN(run) = rig_verifier(fleet->rig,
                            (const char *[]){"job", "list", "--json", "--limit", "1000", NULL});
    JSON(list) = run.status == 0 ? json_parse(run.out, strlen(run.out), &ignored) : NULL;
    const struct json *jobs = list && json_is_array(list) ? list : json_get(list, "jobs");
    for (const struct json *job = json_first(jobs); job; job = json_next(job))
        if (json_get_text(job, "slug", 255, &found) == JSON_FOUND && strcmp(found, slug) == 0)
            json_get_int(job, "job_id", 1, INT64_MAX, &id);
    return id;
}

/* 1: it is done. */
static bool add_job(struct fleet *fleet, int index)
{
    char slug[48];
    snprintf(slug, sizeof slug, "lab-%llu-%d", (unsigned long long)fleet->plan.seed, index);
    RUN(run) = rig_verifier(fleet->rig,
                            (const char *[]){"job", "add", fleet->clip, "--slug", slug, NULL});
    const char *digits = run.out + strcspn(run.out, "0123456789");
    int64_t id = run.status == 0 ? strtoll(digits, NULL, 10) : find_job(fleet, slug);
    if (id > 0)
        note_job(fleet, index, id);
    return id > 0;
}

static bool rotate_key(struct fleet *fleet, int node)
{
    char name[32];
    snprintf(name, sizeof name, "node-%d", node);
    TEXT(fresh) = rig_path(fleet->rig, "%s.key.new", name);
    TEXT(path) = rig_path(fleet->rig, "%s.key", name);
    unlink(fresh);
    RUN(run) = rig_verifier(fleet->rig, (const char *[]){"worker", "rotate", name, "--overlap", "0",
                                                         "--key-file", fresh, NULL});
    return run.status == 0 && rename(fresh, path) == 0;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static struct reply call_admin(struct fleet *fleet, const struct lab_event *order, int64_t job)
{
    int port = fleet->verifier_ports[order->number % fleet->plan.verifiers];
    bool is_delete = order->fault == LAB_DELETE;
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/jobs/%lld%s%s", port, (long long)job,
                            is_delete ? "?files=" : "/",
                            !is_delete      ? lab_fault_name(order->fault)
                            : order->amount ? "true"
                                            : "false");
    return call_make(&(struct call){.method = is_delete ? "DELETE" : "POST",
                                    .url = url,
                                    .headers = {"X-Admin-Secret: the-admin-secret-of-a-test"},
                                    .body = is_delete ? NULL : "{}",
                                    .timeout_ms = VERB_MS});
}

/* False: it was refused, or there is no such job. */
static bool do_to(struct fleet *fleet, const struct lab_event *order, int index)
{
    pthread_mutex_lock(&fleet->lock);
    int64_t job = fleet->jobs[index];
    pthread_mutex_unlock(&fleet->lock);
    if (job == 0)
        return false;
    int64_t asked_us = wall_us();
    REPLY(reply) = call_admin(fleet, order, job);
    struct json *line = history_line("verb");
    json_set_text(line, "verb", lab_fault_name(order->fault));
    json_set_int(line, "job", job);
    json_set_int(line, "files", order->amount);
    json_set_int(line, "asked_us", asked_us);
    json_set_int(line, "status", reply.status);
    history_write(fleet->history, line);
    return reply.status / 100 != 4;
}

/* A job that has to have ended for it: the first from there on that has. */
static void do_verb(struct fleet *fleet, const struct lab_event *order)
{
    bool wants_end = order->fault == LAB_RETRY || order->fault == LAB_RETRANSCODE;
    int tries = wants_end ? fleet->plan.jobs : 1;
    for (int i = 0; i < tries && !do_to(fleet, order, (order->target + i) % fleet->plan.jobs); i++)
        ;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool attempt(struct fleet *fleet, const struct lab_event *order)
{
    if (order->fault == LAB_FAULT_COUNT)
        return add_job(fleet, order->target);
    if (order->fault == LAB_ROTATE_KEY)
        return rotate_key(fleet, order->target);
    do_verb(fleet, order);
    return true;
}

/* As a patient person: what fails is tried again. */
static void carry_out(struct fleet *fleet, const struct lab_event *order)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        if (attempt(fleet, order))
            return;
        poll(NULL, 0, AGAIN_MS);
    }
    must_failed("an order of the operator can be carried out", __FILE__, __LINE__, __func__);
}

static void *work(void *ctx)
{
    struct fleet *fleet = ctx;
    pthread_mutex_lock(&fleet->lock);
    for (;;) {
        while (fleet->done == fleet->ordered && !fleet->ends)
            pthread_cond_wait(&fleet->changed, &fleet->lock);
        if (fleet->done == fleet->ordered)
            break;
        struct lab_event order = fleet->orders[fleet->done];
        pthread_mutex_unlock(&fleet->lock);
        carry_out(fleet, &order);
        pthread_mutex_lock(&fleet->lock);
        fleet->done++;
        pthread_cond_broadcast(&fleet->changed);
    }
    pthread_mutex_unlock(&fleet->lock);
    return NULL;
}

void operator_start(struct fleet *fleet)
{
    fleet->ordered = fleet->done = 0;
    fleet->ends = false;
    must(pthread_create(&fleet->operator, NULL, work, fleet) == 0);
}

void operator_order(struct fleet *fleet, const struct lab_event *order)
{
    pthread_mutex_lock(&fleet->lock);
    must(fleet->ordered < FLEET_ORDERS_MAX);
    fleet->orders[fleet->ordered++] = *order;
    pthread_cond_broadcast(&fleet->changed);
    pthread_mutex_unlock(&fleet->lock);
}

void operator_add_job(struct fleet *fleet, int index)
{
    operator_order(fleet, &(struct lab_event){.fault = LAB_FAULT_COUNT, .target = index});
}

void operator_wait(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
    while (fleet->done < fleet->ordered)
        pthread_cond_wait(&fleet->changed, &fleet->lock);
    pthread_mutex_unlock(&fleet->lock);
}

void operator_finish(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
    fleet->ends = true;
    pthread_cond_broadcast(&fleet->changed);
    pthread_mutex_unlock(&fleet->lock);
    pthread_join(fleet->operator, NULL);
}
