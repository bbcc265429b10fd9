#include "fleet.h"

#include "base/clock.h"
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

enum { ANSWER_BYTES = 4 << 20, READY_MS = 30 * 1000 };

#define KEEP "TAILSLATE_TEST_KEEP"

/* A rendition made beforehand. Each run signs its files, so that a mixture of two shows; the
 * playlist comes last, because what it lists is uploaded at once. */
static const char fake[] =
    "set -e\nmkdir -p \"$1/360p\"\nsleep 0.$((1 + $2 * 7 %% 9))\n"
    "sign=$(cat /proc/sys/kernel/random/uuid)\nfor name in init.mp4 seg_0000.m4s seg_0001.m4s; do\n"
    "    { cat '%1$s/360p/'$name; printf '\\000\\000\\000\\054free%%s' $sign; }"
    " >\"$1/360p/$name\"\ndone\ncp '%1$s'/*.* \"$1/\"\n"
    "{ cat '%1$s/360p/stream.m3u8'; echo \"# $sign\"; } >\"$1/list\"\n"
    "mv \"$1/list\" \"$1/360p/stream.m3u8\"\n";

/* ---- the start ------------------------------------------------------------------------------- */

static void configure_verifiers(struct fleet *fleet)
{
    static const char *const keys[][2] = {
        {"claims.duration_minutes", "0.06"},      {"workers.offline_minutes", "0.04"},
        {"sweeper.grace_seconds", "2"},           {"sweeper.interval_seconds", "0.5"},
        {"sweeper.cleanup_minutes", "0.05"},      {"claims.retry_delay_seconds", "0"},
        {"listen.connections_per_address", "512"}};
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
    TEXT(url) = postgres_url_at(fleet->database_url, fault_proxy_port(fleet->database_line));
    settings_set_text(settings, "store.url", url);
    if (fleet->plan.store != LAB_FLEET)
        return;
    fleet->redis = redis_start(NULL);
    TEXT(redis) = redis_url(fleet->redis);
    settings_set_text(settings, "redis.url", redis);
}

void fleet_start_verifier(struct fleet *fleet, int number)
{
    struct settings settings = fleet->rig->verifier_settings;
    TEXT(port) = must_printf("%d", fleet->verifier_ports[number]);
    TEXT(config) = rig_path(fleet->rig, "verifier-%d.cfg", number);
    TEXT(log) = rig_path(fleet->rig, "verifier-%d.%d.log", number, ++fleet->lives);
    settings_set(&settings, "listen.port", port);
    settings_write(&settings, config);
    fleet->verifiers[number] = process_start(
        (const char *[]){TAILSLATE_VERIFIER, "-c", config, "serve", NULL},
        (const char *const *)fleet->rig->env, log, NULL);
}

struct fleet *fleet_start(const struct lab_plan *plan, const char *clip)
{
    struct fleet *fleet = must_calloc(1, sizeof *fleet);
    fleet->plan = *plan;
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
    for (int i = 0; i < plan->verifiers; i++) {
        fleet->verifier_ports[i] = port_free();
        fleet_start_verifier(fleet, i);
        process_expect(fleet->verifiers[i], "event=verifier.ready", READY_MS, NULL);
    }
    fleet->proxy = proxy_start(fleet->history, plan->nodes, fleet->verifier_ports, plan->verifiers);
    return fleet;
}

static void configure_node(struct fleet *fleet, int number, const char *command)
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
    if (!command)
        return;
    settings_set(settings, "transcode.recipe", "\"command\"");
    settings_set_text(settings, "transcode.command", command);
}

void fleet_start_agent(struct fleet *fleet, int number)
{
    TEXT(config) = rig_path(fleet->rig, "agent-%d.cfg", number);
    TEXT(log) = rig_path(fleet->rig, "agent-%d.%d.log", number, ++fleet->lives);
    settings_write(&fleet->agent_settings[number], config);
    fleet->agents[number] = process_start(
        (const char *[]){TAILSLATE_AGENT, "-c", config, "run", NULL},
        (const char *const *)fleet->rig->env, log, NULL);
}

void fleet_start_nodes(struct fleet *fleet, const char *transcoder)
{
    bool is_fake = strcmp(transcoder, "fake") == 0;
    TEXT(text) = must_printf(fake, media_tree());
    TEXT(script) = rig_script(fleet->rig, "fake.sh", text);
    TEXT(command) = must_printf("%s {output} {job_id}", script);
    for (int i = 0; i < fleet->plan.nodes; i++) {
        char key[128], name[32];
        snprintf(name, sizeof name, "node-%d", i);
        rig_add_worker(fleet->rig, name, key);
        configure_node(fleet, i, is_fake ? command : NULL);
        fleet_start_agent(fleet, i);
    }
    operator_start(fleet);
}

/* ---- the end --------------------------------------------------------------------------------- */

void fleet_heal(struct fleet *fleet)
{
    fleet_put_right(fleet, INT64_MAX);
    proxy_heal(fleet->proxy);
    if (fleet->database_line)
        fault_proxy_cut(fleet->database_line, "", FAULT_NOT_PASSED);
    operator_finish(fleet);
    history_write(fleet->history, history_line("healed"));
}

static void end(struct fleet *fleet, struct process **process, const char *program)
{
    process_signal(*process, SIGTERM);
    struct json *line = history_line("ended");
    json_set_text(line, "program", program);
    json_set_int(line, "status", process_wait(*process, STOP_MS));
    history_write(fleet->history, line);
    process_free(*process);
    *process = NULL;
}

void fleet_end(struct fleet *fleet)
{
    for (int i = 0; i < fleet->plan.nodes; i++)
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
    if (fleet->postgres)
        postgres_stop(fleet->postgres);
    if (fleet->redis)
        redis_stop(fleet->redis);
}

char *fleet_ask(const struct fleet *fleet, const char *sql)
{
    if (fleet->database_url)
        return postgres_ask(fleet->database_url, sql);
    char *text = must_calloc(1, ANSWER_BYTES);
    inspect_text(fleet->rig, text, ANSWER_BYTES, "%s", sql);
    return text;
}
