/* The verifier dies by SIGKILL in each gap of a completion: after the gate, inside the transaction,
 * while it commits, before and after the commit of a group, after the commit, before the answer. It
 * is started again, and the same token gets a true answer within 30 s, however often it asks
 * before; one completion is on record, and the gate holds nothing that keeps anybody out for
 * longer. Of many that were presented at once, each that was acknowledged is on disk. */
#include "base/clock.h"
#include "base/crash.h"
#include "gated.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "postgres.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PROMISED_MS = 30 * 1000, HOLD_MS = 10 * 1000, DEATH_MS = 20 * 1000 };

struct crash_case {
    int point;
    bool on_postgresql;
    char what[100];
};
#define CRASH_ROW(number, name, meaning)                                                           \
    {number, false, #number " " meaning}, {number, true, #number " " meaning " (PostgreSQL)"},
#define CRASH_GROUP_ROW(number, name, meaning) {number, false, #number " " meaning},
static struct crash_case cases[] = {CRASH_SERVER_POINTS(CRASH_ROW)
                                        CRASH_GROUP_POINTS(CRASH_GROUP_ROW)};
#undef CRASH_ROW
#undef CRASH_GROUP_ROW
enum { CASE_COUNT = sizeof cases / sizeof *cases };

enum committed { NOT_COMMITTED, COMMITTED, COMMITTED_OR_NOT };
static enum committed committed_at(int point)
{
    if (point == CRASH_VERIFIER_COMMITTING) /* the database has it, and goes on without us */
        return COMMITTED_OR_NOT;
    return point == CRASH_VERIFIER_COMMITTED || point == CRASH_VERIFIER_ANSWERING ||
                   point == CRASH_VERIFIER_GROUP_COMMITTED
               ? COMMITTED
               : NOT_COMMITTED;
}

struct fleet {
    struct redis *redis;
    struct postgres *postgres; /* NULL: SQLite */
    char *url;                 /* of the database in it */
    struct rig *rig;
};

static struct fleet armed(const struct crash_case *crash, char flag[PATH_BYTES])
{
    struct fleet fleet = {.redis = redis_start(NULL)};
    fleet.rig = gated_rig(fleet.redis);
    if (crash->on_postgresql) {
        fleet.postgres = postgres_start(NULL);
        fleet.url = postgres_new_database(fleet.postgres->place);
        TEXT(value) = must_printf("\"%s\"", fleet.url);
        rig_verifier_set(fleet.rig, "store.url", value);
    }
    snprintf(flag, PATH_BYTES, "%s/crash.flag", fleet.rig->dir);
    TEXT(variable) = must_printf("%d:%s", crash->point, flag);
    rig_set_env(fleet.rig, "TAILSLATE_CRASH", variable);
    return fleet;
}

static void end(struct fleet *fleet)
{
    rig_end(fleet->rig);
    redis_stop(fleet->redis);
    if (fleet->postgres)
        postgres_stop(fleet->postgres);
    free(fleet->url);
}

static char *ask_database(const struct fleet *fleet, const char *sql)
{
    if (fleet->url)
        return postgres_ask(fleet->url, sql);
    char text[128];
    inspect_text(fleet->rig, text, sizeof text, "%s", sql);
    return must_strdup(text);
}

static void expect_database(const struct fleet *fleet, const char *wanted, const char *sql)
{
    TEXT(text) = ask_database(fleet, sql);
    cr_assert(strcmp(text, wanted) == 0, "%s: %s, wanted %s", sql, text, wanted);
}

static void bury(struct rig *rig)
{
    cr_assert_eq(process_wait(rig->verifier, DEATH_MS), 128 + 9);
    process_free(rig->verifier);
    rig->verifier = NULL;
}

static void die(const struct fleet *fleet, const struct scene *scene,
                const struct crash_case *crash, const char *flag)
{
    file_write(flag, "", 0600);
    REPLY(lost) = worker_complete(&scene->worker, scene->token);
    cr_assert(inspect_wait_file(flag, false, 0), "%s was never reached: %ld %s", crash->what,
              lost.status, lost.body);
    cr_assert_eq(lost.status, 0, "it answered %ld", lost.status);
    bury(fleet->rig);
    if (committed_at(crash->point) != COMMITTED_OR_NOT)
        expect_database(fleet, committed_at(crash->point) == COMMITTED ? "1" : "0",
                        "SELECT count(*) FROM completions");
}

/* As an impatient worker does: again, at once, until it is told. Gives the time from the first try.
 */
static int64_t ask_until_told(const struct scene *scene, enum committed committed)
{
    int64_t started_ms = mono_ms();
    for (;;) {
        REPLY(reply) = worker_complete(&scene->worker, scene->token);
        cr_assert(reply.status == 200 || reply.status == 503, "%ld %s", reply.status, reply.body);
        int64_t took_ms = mono_ms() - started_ms;
        cr_assert_lt(took_ms, PROMISED_MS);
        if (reply.status == 200) {
            cr_assert(committed == COMMITTED_OR_NOT ||
                          reply_bool(&reply, "replayed") == (committed == COMMITTED),
                      "%s", reply.body);
            return took_ms;
        }
    }
}

/* What the dead one held is gone or goes by itself, and `completed` is only where it is true. */
static void check_gate(const struct redis *redis, const struct scene *scene)
{
    TEXT(name) = gated_key_name(scene->job, scene->token);
    TEXT(left_ms) = redis_ask(redis, "PTTL", name, NULL);
    TEXT(held) = gated_key(redis, scene->job, scene->token);
    int64_t left = strtoll(left_ms, NULL, 10);
    cr_assert(held[0] == '\0' || strcmp(held, "completed") == 0 || (left > 0 && left <= HOLD_MS),
              "%s is there for %s ms", held, left_ms);
}

ParameterizedTestParameters(server_crash, the_same_token_gets_a_true_answer_within_30_s)
{
    return cr_make_param_array(struct crash_case, cases, CASE_COUNT);
}

ParameterizedTest(struct crash_case *crash, server_crash,
                  the_same_token_gets_a_true_answer_within_30_s, .timeout = 180)
{
    char flag[PATH_BYTES];
    struct fleet fleet = armed(crash, flag);
    struct scene scene = gated_scene(fleet.rig);
    gated_wait_state(fleet.rig, GATED_CLOSED);
    die(&fleet, &scene, crash, flag);
    TEXT(held) = gated_key(fleet.redis, scene.job, scene.token);
    bool is_given_back = crash->point == CRASH_VERIFIER_ANSWERING;
    cr_assert(strncmp(held, is_given_back ? "completed" : "processing:", 9) == 0, "%s", held);

    int64_t down_ms = mono_ms();
    rig_start_verifier(fleet.rig);
    int64_t up_ms = mono_ms() - down_ms;
    int64_t took_ms = ask_until_told(&scene, committed_at(crash->point));
    cr_log_info("%s: up again after %d ms, told after %d ms more", crash->what, (int)up_ms,
                (int)took_ms);
    expect_database(&fleet, scene.token, "SELECT token FROM completions");
    expect_database(&fleet, "1", "SELECT count(*) FROM completions");
    expect_database(&fleet, "1", "SELECT count(*) FROM video_qualities");
    expect_database(&fleet, "ready", "SELECT status FROM videos");
    check_gate(fleet.redis, &scene);
    end(&fleet);
}

/* ---- many at once ---------------------------------------------------------------------------- */

enum { PRESENTERS = 8, JOBS_EACH = 4, JOBS = PRESENTERS * JOBS_EACH, TOLD_BEFORE = 3 };

struct crowd {
    struct worker workers[JOBS]; /* one a job */
    char tokens[JOBS][128];
    long statuses[JOBS];
    atomic_int told;
};

struct presenter {
    struct crowd *crowd;
    int first;
    pthread_t thread;
};

static void *present(void *ctx)
{
    const struct presenter *presenter = ctx;
    struct crowd *crowd = presenter->crowd;
    for (int i = presenter->first; i < JOBS; i += PRESENTERS) {
        REPLY(reply) = worker_complete(&crowd->workers[i], crowd->tokens[i]);
        crowd->statuses[i] = reply.status;
        atomic_fetch_add(&crowd->told, reply.status == 200);
    }
    return NULL;
}

/* Once some are told, the flag is there; the scene's own completion meets it at the latest. */
static void die_among_them(const struct fleet *fleet, const struct scene *scene,
                           struct crowd *crowd, const char *flag)
{
    struct presenter presenters[PRESENTERS];
    for (int i = 0; i < PRESENTERS; i++) {
        presenters[i] = (struct presenter){.crowd = crowd, .first = i};
        cr_assert_eq(pthread_create(&presenters[i].thread, NULL, present, &presenters[i]), 0);
    }
    while (atomic_load(&crowd->told) < TOLD_BEFORE)
        sched_yield();
    file_write(flag, "", 0600);
    REPLY(lost) = worker_complete(&scene->worker, scene->token);
    for (int i = 0; i < PRESENTERS; i++)
        pthread_join(presenters[i].thread, NULL);
    bury(fleet->rig);
}

#define CRASH_ROW(number, name, meaning) {number, false, #number " " meaning},
static struct crash_case among_many[] = {CRASH_SERVER_POINTS(CRASH_ROW)
                                             CRASH_GROUP_POINTS(CRASH_ROW)};
#undef CRASH_ROW

ParameterizedTestParameters(server_crash, what_was_acknowledged_among_many_is_on_disk)
{
    return cr_make_param_array(struct crash_case, among_many,
                               sizeof among_many / sizeof *among_many);
}

ParameterizedTest(struct crash_case *crash, server_crash,
                  what_was_acknowledged_among_many_is_on_disk, .timeout = 180)
{
    char flag[PATH_BYTES];
    struct fleet fleet = armed(crash, flag);
    struct scene scene = gated_scene(fleet.rig);
    struct crowd crowd = {0};
    gated_more(&scene, crowd.workers, JOBS);
    for (int i = 0; i < JOBS; i++)
        worker_token(&crowd.workers[i], crowd.tokens[i]);
    die_among_them(&fleet, &scene, &crowd, flag);
    for (int i = 0; i < JOBS; i++) {
        TEXT(sql) = must_printf("SELECT count(*) FROM completions WHERE job_id = %d",
                                (int)crowd.workers[i].job);
        TEXT(count) = ask_database(&fleet, sql);
        cr_expect(crowd.statuses[i] != 200 || strcmp(count, "1") == 0, "%s: job %d was told",
                  crash->what, (int)crowd.workers[i].job);
    }
    rig_start_verifier(fleet.rig);
    for (int i = 0; i < JOBS; i++) {
        REPLY(reply) = worker_complete(&crowd.workers[i], crowd.tokens[i]);
        cr_expect_eq(reply.status, 200, "%ld %s", reply.status, reply.body);
    }
    TEXT(all) = must_printf("%d", JOBS);
    expect_database(&fleet, all, "SELECT count(*) FROM completions WHERE job_id > 1");
    end(&fleet);
}
