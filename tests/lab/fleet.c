#include "fleet.h"

#include "base/clock.h"
#include "base/crash.h"
#include "fault_proxy.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "port.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ANSWER_BYTES = 4 << 20, READY_MS = 120 * 1000 };

#define KEEP "TAILSLATE_TEST_KEEP"

/* ---- the start ------------------------------------------------------------------------------- */

static void configure_verifiers(struct fleet *fleet)
{
    static const char *const keys[][2] = {
        {"claims.duration_minutes", "0.025"}, {"workers.offline_minutes", "0.02"},
        {"sweeper.grace_seconds", "0.8"},     {"sweeper.interval_seconds", "0.25"},
        {"sweeper.cleanup_minutes", "0.02"},  {"sweeper.trash_hours", "0.0005"},
        {"claims.retry_delay_seconds", "0"},  {"listen.connections_per_address", "512"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        rig_verifier_set(fleet->rig, keys[i][0], keys[i][1]);
}

static void start_stores(struct fleet *fleet)
{
    struct settings *settings = &fleet->rig->verifier_settings;
    if (fleet->plan.store == LAB_SQLITE)
        return;
    fleet->postgres = postgres_start(NULL);
    fleet->database_line = fault_proxy_start(fleet->postgres->port);
    fleet->database_url = postgres_new_database(fleet->postgres->place);
    fleet->connection = postgres_enter(fleet->database_url, "SELECT 1");
    TEXT(url) = postgres_url_at(fleet->database_url, fault_proxy_port(fleet->database_line));
    settings_set_text(settings, "store.url", url);
    if (fleet->plan.store != LAB_FLEET)
        return;
    fleet->redis = redis_start(NULL);
    TEXT(redis) = redis_url(fleet->redis);
    settings_set_text(settings, "redis.url", redis);
}

char *fleet_crash_flag(const struct fleet *fleet, const char *program, int number)
{
    return rig_path(fleet->rig, "%s-%d.crash", program, number);
}

/* Each life has another crash point armed; it dies there once its flag file is made. */
static struct process *start(struct fleet *fleet, const char *const argv[], const char *name,
                             int number, const int points[], size_t count)
{
    const char *env[RIG_ENV_MAX + 2];
    size_t used = 0;
    for (size_t i = 0; fleet->rig->env[i]; i++)
        if (strncmp(fleet->rig->env[i], HARM_VARIABLE "=", sizeof HARM_VARIABLE) != 0)
            env[used++] = fleet->rig->env[i];
    int life = ++fleet->lives, point = points[(fleet->plan.seed + (uint64_t)life) % count];
    TEXT(flag) = fleet_crash_flag(fleet, name, number);
    TEXT(crash) = must_printf("TAILSLATE_CRASH=%d:%s", point, flag);
    TEXT(log) = rig_path(fleet->rig, "%s-%d.%d.log", name, number, life);
    TEXT(path) = harm_path(fleet, name, number);
    TEXT(harm) = must_printf(HARM_VARIABLE "=%s", path);
    env[used++] = crash;
    env[used++] = harm;
    env[used] = NULL;
    return process_start(argv, env, log, NULL);
}

void fleet_start_verifier(struct fleet *fleet, int number)
{
#define CRASH_NUMBER(number, name, meaning) number,
    static const int points[] = {CRASH_SERVER_POINTS(CRASH_NUMBER)
                                     CRASH_GROUP_POINTS(CRASH_NUMBER)};
    struct settings settings = fleet->rig->verifier_settings;
    TEXT(port) = must_printf("%d", fleet->verifier_ports[number]);
    TEXT(config) = rig_path(fleet->rig, "verifier-%d.cfg", number);
    settings_set(&settings, "listen.port", port);
    settings_write(&settings, config);
    fleet->verifiers[number] = start(
        fleet, (const char *[]){TAILSLATE_VERIFIER, "-c", config, "serve", NULL}, "verifier",
        number, points, sizeof points / sizeof *points);
}

struct fleet *fleet_start(const struct lab_plan *plan, const char *clip)
{
    struct fleet *fleet = must_calloc(1, sizeof *fleet);
    fleet->plan = *plan;
    fleet->lost = -1;
    /* The checker reads the rig's directory after its guard has gone; the stores' are not kept. */
    bool is_kept = getenv(KEEP) != NULL;
    setenv(KEEP, "1", 1);
    fleet->rig = rig_new();
    if (!is_kept)
        unsetenv(KEEP);
    fleet->jobs = must_calloc((size_t)plan->jobs + 1, sizeof *fleet->jobs);
    snprintf(fleet->clip, sizeof fleet->clip, "%s", clip);
    pthread_mutex_init(&fleet->lock, NULL);
    pthread_cond_init(&fleet->changed, NULL);
    TEXT(path) = rig_path(fleet->rig, "history.jsonl");
    fleet->history = history_open(path);
    configure_verifiers(fleet);
    start_stores(fleet);
    harm_prepare(fleet);
    for (int i = 0; i < plan->verifiers; i++) {
        fleet->verifier_ports[i] = port_free();
        fleet_start_verifier(fleet, i);
        process_expect(fleet->verifiers[i], "event=verifier.ready", READY_MS, NULL);
    }
    fleet->proxy = proxy_start(fleet->history, plan, fleet->verifier_ports, fleet->rig->dir,
                               fleet->database_url);
    return fleet;
}

static void configure_node(struct fleet *fleet, int number)
{
    struct settings *settings = &fleet->agent_settings[number];
    *settings = fleet->rig->agent_settings;
    TEXT(url) = must_printf("http://127.0.0.1:%d", proxy_port(fleet->proxy, number));
    TEXT(key) = rig_path(fleet->rig, "node-%d.key", number);
    TEXT(state) = rig_path(fleet->rig, "agent-%d", number);
    must(mkdir(state, 0700) == 0);
    settings_set_text(settings, "server.url", url);
    settings_set_text(settings, "server.api_key_file", key);
    settings_set_text(settings, "node.state_dir", state);
    settings_set(settings, "node.slots", "2");
    settings_set(settings, "claim.wait_seconds", "1");
    settings_set(settings, "heartbeat.interval_seconds", "0.3");
}

void fleet_start_agent(struct fleet *fleet, int number)
{
    static const int points[] = {CRASH_POINTS(CRASH_NUMBER)};
    TEXT(config) = rig_path(fleet->rig, "agent-%d.cfg", number);
    settings_write(&fleet->agent_settings[number], config);
    fleet->agents[number] = start(fleet,
                                  (const char *[]){TAILSLATE_AGENT, "-c", config, "run", NULL},
                                  "agent", number, points, sizeof points / sizeof *points);
}

void fleet_start_nodes(struct fleet *fleet, const char *transcoder)
{
    bool is_fake = strcmp(transcoder, "fake") == 0;
    if (is_fake)
        fleet_write_fakes(fleet);
    for (int i = 0; i < fleet->plan.nodes; i++) {
        char key[128], name[32];
        snprintf(name, sizeof name, "node-%d", i);
        rig_add_worker(fleet->rig, name, key);
        configure_node(fleet, i);
        if (is_fake)
            fleet_use_fakes(fleet, i);
        fleet_start_agent(fleet, i);
    }
}

/* Another machine in its place, with an empty disk. */
static void replace_lost(struct fleet *fleet)
{
    TEXT(state) = rig_path(fleet->rig, "agent-%d", fleet->lost);
    RUN(removed) = run_program((const char *[]){"rm", "-rf", state, NULL}, NULL, READY_MS);
    must(removed.status == 0 && mkdir(state, 0700) == 0);
    fleet_start_agent(fleet, fleet->lost);
    fleet->lost = -1;
}

/* As if 30 s had passed: who was killed in the round before still has the lead of the sweeps. */
static void end_lease(struct fleet *fleet)
{
    static const char sql[] = "UPDATE fleet SET leader = NULL, leader_until = NULL";
    if (fleet->connection)
        free(postgres_ask_again(fleet->connection, sql));
    else
        inspect_change(fleet->rig, "%s", sql);
}

void fleet_begin_round(struct fleet *fleet)
{
    if (fleet->lost >= 0)
        replace_lost(fleet);
    memset(fleet->jobs, 0, (size_t)fleet->plan.jobs * sizeof *fleet->jobs);
    end_lease(fleet);
    operator_start(fleet);
}

/* ---- the end --------------------------------------------------------------------------------- */

void fleet_heal(struct fleet *fleet)
{
    harm_heal(fleet);
    fleet_put_right(fleet, INT64_MAX);
    proxy_heal(fleet->proxy);
    if (fleet->database_line)
        fault_proxy_cut(fleet->database_line, "", FAULT_NOT_PASSED);
    operator_finish(fleet);
    history_write(fleet->history, history_line("healed"));
}

void fleet_note_end(struct fleet *fleet, struct process *process, const char *program)
{
    struct json *line = history_line("ended");
    json_set_text(line, "program", program);
    json_set_int(line, "status", process_wait(process, STOP_MS));
    history_write(fleet->history, line);
}

static void end(struct fleet *fleet, struct process **process, const char *program)
{
    process_signal(*process, SIGTERM);
    fleet_note_end(fleet, *process, program);
    process_free(*process);
    *process = NULL;
}

/* Before it is ready, SIGTERM ends it as it ends any program. */
static void wait_for_all(struct fleet *fleet)
{
    for (int i = 0; i < fleet->plan.nodes; i++)
        if (i != fleet->lost)
            process_expect(fleet->agents[i], "event=agent.ready", READY_MS, NULL);
    for (int i = 0; i < fleet->plan.verifiers; i++)
        process_expect(fleet->verifiers[i], "event=verifier.ready", READY_MS, NULL);
}

void fleet_end(struct fleet *fleet)
{
    wait_for_all(fleet);
    for (int i = 0; i < fleet->plan.nodes; i++)
        if (i != fleet->lost)
            end(fleet, &fleet->agents[i], "agent");
    for (int i = 0; i < fleet->plan.verifiers; i++)
        end(fleet, &fleet->verifiers[i], "verifier");
    proxy_stop(fleet->proxy);
    history_close(fleet->history);
}

void fleet_stop_stores(struct fleet *fleet)
{
    if (fleet->database_line)
        fault_proxy_stop(fleet->database_line);
    if (fleet->postgres) {
        postgres_leave(fleet->connection);
        postgres_stop(fleet->postgres);
    }
    if (fleet->redis)
        redis_stop(fleet->redis);
}

char *fleet_ask(const struct fleet *fleet, const char *sql)
{
    if (fleet->connection)
        return postgres_ask_again(fleet->connection, sql);
    char *text = must_malloc(ANSWER_BYTES);
    inspect_text(fleet->rig, text, ANSWER_BYTES, "%s", sql);
    return text;
}
