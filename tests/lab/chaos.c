/* chaos: one run of the laboratory: a fleet, jobs, a schedule of faults; then peace, and the
 * checker's opinion of what it left behind.
 *
 * Exit status: 0 the promises held; 1 they did not, and the directory is kept; 64 usage; 70 the
 * laboratory itself failed. */
#include "base/clock.h"
#include "fleet.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 20,
    LOOK_MS = 80,
    CALM_MS = 90 * 1000,
    CALM_LEAST_MS = 600,
    CHECK_MS = 60 * 1000,
    EXIT_USE = 64
};
enum { NOTED_MAX = 65536, TOKEN_BYTES = 128, SWEEPER_BYTES = 128 };

struct options {
    struct lab_plan plan;
    int rounds;
    const char *transcoder, *events; /* events: NULL: all */
    bool prints;
};

static const char usage[] =
    "usage: chaos --seed N [--rounds N] [--minutes M] [--jobs N] [--store sqlite|postgres|fleet]\n"
    "             [--agents 1-4] [--verifiers 1-2] [--transcoder fake|ffmpeg]\n"
    "             [--events 3,7,9] [--print]\n"
    "--minutes, --jobs: of each round. A round is the storm of a seed, then peace until all work "
    "has\n"
    "come to its end; the next one is that of the next seed, in the same fleet.\n";

static int parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"seed", 1, NULL, 's'},       {"minutes", 1, NULL, 'm'}, {"jobs", 1, NULL, 'j'},
        {"store", 1, NULL, 'd'},      {"agents", 1, NULL, 'a'},  {"verifiers", 1, NULL, 'v'},
        {"transcoder", 1, NULL, 't'}, {"events", 1, NULL, 'e'},  {"rounds", 1, NULL, 'r'},
        {"print", 0, NULL, 'p'},      {NULL, 0, NULL, 0}};
    struct lab_plan *plan = &options->plan;
    bool is_good = true;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's')
            plan->seed = strtoull(optarg, NULL, 10);
        else if (c == 'm')
            plan->duration_ms = (int64_t)(strtod(optarg, NULL) * 60 * 1000);
        else if (c == 'j')
            plan->jobs = (int)strtol(optarg, NULL, 10);
        else if (c == 'd')
            is_good = is_good && lab_store_parse(optarg, &plan->store);
        else if (c == 'a')
            plan->nodes = (int)strtol(optarg, NULL, 10);
        else if (c == 'v')
            plan->verifiers = (int)strtol(optarg, NULL, 10);
        else if (c == 't')
            options->transcoder = optarg;
        else if (c == 'r')
            options->rounds = (int)strtol(optarg, NULL, 10);
        else if (c == 'e')
            options->events = optarg;
        else
            is_good = is_good && c == 'p';
        options->prints = options->prints || c == 'p';
    }
    if (plan->verifiers == 0)
        plan->verifiers = plan->store == LAB_SQLITE ? 1 : 2;
    return is_good && optind == argc && plan->duration_ms > 0 && plan->jobs > 0 &&
                   options->rounds > 0 && plan->nodes >= 1 && plan->nodes <= LAB_NODES_MAX &&
                   plan->verifiers >= 1 && plan->verifiers <= LAB_VERIFIERS_MAX
               ? 0
               : -1;
}

/* ---- what the spools say --------------------------------------------------------------------- */

static int64_t number_in(const struct json *object, const char *name)
{
    int64_t value = 0;
    json_get_int(object, name, 0, INT64_MAX, &value);
    return value;
}

/* True: it was noted already. A record that is reclaimed has another token. */
static bool is_noted(const char *token)
{
    static char noted[NOTED_MAX][TOKEN_BYTES];
    static size_t count;
    for (size_t i = 0; i < count; i++)
        if (strcmp(noted[i], token) == 0)
            return true;
    must(count < NOTED_MAX);
    snprintf(noted[count++], TOKEN_BYTES, "%s", token);
    return false;
}

/* A record whose transcode has ended well: it must come to a good end, or to an explained one. */
static void note_finished(struct fleet *fleet, int node, const char *spool, const char *record)
{
    struct error ignored;
    const char *token = "";
    TEXT(outcome) = must_printf("%s/%s/outcome.json", spool, record);
    TEXT(path) = must_printf("%s/%s/claim.json", spool, record);
    if (access(outcome, F_OK) != 0)
        return;
    TEXT(text) = file_read(path);
    JSON(claim) = json_parse(text, strlen(text), &ignored);
    if (!claim)
        return; /* it went meanwhile */
    json_get_text(claim, "token", TOKEN_BYTES - 1, &token);
    if (is_noted(token))
        return;
    struct json *line = history_line("finished");
    json_set_int(line, "node", node);
    json_set_text(line, "record", record);
    json_set_int(line, "job", number_in(json_get(claim, "claim"), "job_id"));
    json_set_int(line, "epoch", number_in(json_get(claim, "claim"), "claim_epoch"));
    json_set_text(line, "token", token);
    history_write(fleet->history, line);
}

/* How many records of jobs that exist there are; finished ones are noted on the way. */
static int look_into_spools(struct fleet *fleet, const char *jobs)
{
    int live = 0;
    for (int node = 0; node < fleet->plan.nodes; node++) {
        if (node == fleet->lost)
            continue;
        TEXT(spool) = rig_path(fleet->rig, "agent-%d/spool", node);
        DIRECTORY(handle) = opendir(spool);
        for (struct dirent *entry; handle && (entry = readdir(handle)) != NULL;) {
            if (entry->d_name[0] == '.')
                continue;
            note_finished(fleet, node, spool, entry->d_name);
            TEXT(listed) = must_printf(",%ld,", strtol(entry->d_name, NULL, 10));
            live += jobs && strstr(jobs, listed);
        }
    }
    return live;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void write_start(struct fleet *fleet, const struct options *options)
{
    struct json *line = history_line("start");
    json_set_text(line, "store", lab_store_name(options->plan.store));
    json_set_int(line, "nodes", options->plan.nodes);
    json_set_text(line, "transcoder", options->transcoder);
    json_set_int(line, "claim_ms", FLEET_CLAIM_MS);
    json_set_int(line, "offline_ms", FLEET_OFFLINE_MS);
    json_set_int(line, "grace_ms", FLEET_GRACE_MS);
    history_write(fleet->history, line);
}

/* Half of the jobs are there when the storm begins; the others come evenly over the first half of
 * its time. */
static void storm(struct fleet *fleet, const struct lab_event *events, size_t count)
{
    const struct lab_plan *plan = &fleet->plan;
    int added = 0;
    while (added < (plan->jobs + 1) / 2)
        operator_add_job(fleet, added++);
    operator_wait(fleet);
    int64_t begun_ms = mono_ms(), looked_ms = 0;
    for (size_t next = 0;;) {
        int64_t now_ms = mono_ms() - begun_ms;
        while (added < plan->jobs && now_ms >= plan->duration_ms * added / plan->jobs / 2)
            operator_add_job(fleet, added++);
        while (next < count && now_ms >= events[next].at_ms)
            fleet_do(fleet, &events[next++]);
        fleet_put_right(fleet, mono_ms());
        fleet_revive(fleet);
        if (now_ms - looked_ms >= LOOK_MS) {
            look_into_spools(fleet, NULL);
            looked_ms = now_ms;
        }
        if (now_ms >= plan->duration_ms && added == plan->jobs && next == count)
            return;
        poll(NULL, 0, TICK_MS);
    }
}

static bool is_calm(struct fleet *fleet)
{
    TEXT(open) = fleet_ask(fleet,
                           "SELECT COUNT(*) FROM transcoding_jobs WHERE completed_at IS NULL");
    TEXT(ids) = fleet_ask(fleet, fleet->database_url
                                     ? "SELECT string_agg(id::text, ',') FROM transcoding_jobs"
                                     : "SELECT group_concat(id) FROM transcoding_jobs");
    TEXT(jobs) = must_printf(",%s,", ids);
    int live = look_into_spools(fleet, jobs);
    return live == 0 && strcmp(open, "0") == 0;
}

/* Whose sweep was the last one, each time that it is somebody else's. Who was stopped or has lost
 * the lead notes that, and has not swept. */
static void note_sweeper(struct fleet *fleet, char last[SWEEPER_BYTES])
{
    TEXT(instance) = fleet_ask(fleet, "SELECT instance FROM sweeps WHERE outcome IN"
                                      " ('nothing', 'released') ORDER BY id DESC LIMIT 1");
    if (strcmp(instance, last) == 0)
        return;
    snprintf(last, SWEEPER_BYTES, "%s", instance);
    struct json *line = history_line("sweeper");
    json_set_text(line, "instance", instance);
    history_write(fleet->history, line);
}

static void wait_for_calm(struct fleet *fleet)
{
    int64_t begun_ms = mono_ms();
    char sweeper[SWEEPER_BYTES] = "";
    bool calm = false;
    while ((!(calm = is_calm(fleet)) && mono_ms() - begun_ms < CALM_MS) ||
           mono_ms() - begun_ms < CALM_LEAST_MS) {
        fleet_revive(fleet);
        note_sweeper(fleet, sweeper);
        poll(NULL, 0, LOOK_MS);
    }
    struct json *line = history_line("quiet");
    json_set_bool(line, "calm", calm);
    json_set_int(line, "after_ms", mono_ms() - begun_ms);
    history_write(fleet->history, line);
}

/* The checker beside this program. */
static int check(const char *directory)
{
    char self[PATH_BYTES] = "";
    must(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    *strrchr(self, '/') = '\0';
    TEXT(checker) = must_printf("%s/lab_check", self);
    RUN(run) = run_program((const char *[]){checker, directory, NULL}, NULL, CHECK_MS);
    printf("%s%s", run.out, run.err);
    return run.status;
}

/* -1: the options name events that there cannot be. */
static int make_events(const struct options *options, const struct lab_plan *plan,
                       struct lab_event events[], size_t *count)
{
    *count = schedule_make(plan, events);
    return options->events ? schedule_keep(events, count, options->events) : 0;
}

static void play_round(struct fleet *fleet, const struct options *options, uint64_t seed)
{
    static struct lab_event events[LAB_EVENTS_MAX];
    size_t count;
    struct json *line = history_line("round");
    json_set_int(line, "seed", (int64_t)seed);
    history_write(fleet->history, line);
    fleet->plan.seed = seed;
    must(make_events(options, &fleet->plan, events, &count) == 0);
    fleet_begin_round(fleet);
    storm(fleet, events, count);
    fleet_heal(fleet);
    wait_for_calm(fleet);
    fleet_note_gate(fleet);
}

static int run(const struct options *options)
{
    bool is_fake = strcmp(options->transcoder, "fake") == 0;
    struct fleet *fleet = fleet_start(&options->plan,
                                      media_clip(is_fake ? MEDIA_NORMAL : MEDIA_TINY));
    TEXT(directory) = must_strdup(fleet->rig->dir);
    printf("directory\t%s\n", directory);
    fflush(stdout);
    write_start(fleet, options);
    fleet_start_nodes(fleet, options->transcoder);
    for (int i = 0; i < options->rounds; i++)
        play_round(fleet, options, options->plan.seed + (uint64_t)i);
    fleet_end(fleet);
    TEXT(dump) = must_printf("%s/database.json", directory);
    fleet_dump(fleet, dump);
    fleet_stop_stores(fleet);
    rig_end(fleet->rig);
    int status = check(directory);
    if (status == 0 && !getenv("LAB_KEEP")) {
        RUN(removed) = run_program((const char *[]){"rm", "-rf", directory, NULL}, NULL, CHECK_MS);
    }
    return status;
}

int main(int argc, char **argv)
{
    static struct lab_event events[LAB_EVENTS_MAX];
    size_t count;
    struct options options = {.plan = {.seed = 1, .duration_ms = 3000, .nodes = 3, .jobs = 7},
                              .rounds = 1,
                              .transcoder = "fake"};
    if (parse(argc, argv, &options) != 0 ||
        make_events(&options, &options.plan, events, &count) != 0)
        return fputs(usage, stderr), EXIT_USE;
    for (size_t i = 0; i < count && options.prints; i++)
        schedule_print(&events[i], stdout);
    return options.prints ? 0 : run(&options);
}
