#include "verifier/cli/command_sweep.h"

#include "lib/json.h"
#include "lib/uuid.h"
#include "verifier/gate/gate.h"
#include "verifier/store/store_sweep.h"
#include "verifier/sweeper/orphans.h"
#include "verifier/sweeper/sweeper.h"

#include <stdio.h>

enum { CLEANUP_STEP_MS = 1000 };

struct sweeping {
    struct context *context;
    const struct command *command;
    struct gate *gate;
    struct store_sweep sweep;
    struct json *orphans; /* an array */
};

static int sweep_claims(struct sweeping *sweeping, struct error *err)
{
    struct store_sweep *sweep = &sweeping->sweep;
    struct store *store = sweeping->context->store;
    /* Without a sweeper, outages are not measured. */
    if (!verifier_config_sweeps(sweeping->context->config)) {
        sweep->outcome = SWEEP_UNMONITORED;
        return 0;
    }
    sweep->last_run_ms = gate_last_sweep_ms(sweeping->gate, GATE_SWEEP_STALE_JOBS);
    if (sweeping->command->dry_run)
        return store_sweep_preview(store, sweep, err);
    if (store_sweep(store, sweep, err) != 0)
        return -1;
    if (store_sweep_succeeded(sweep->outcome))
        gate_note_sweep(sweeping->gate, GATE_SWEEP_STALE_JOBS, sweep->swept_at);
    return 0;
}

static void note_orphan(void *ctx, const struct orphan *orphan)
{
    struct json *item = json_new_object();
    json_set_text(item, "path", orphan->path);
    json_set_text(item, "kind", orphan_kind_name(orphan->kind));
    json_set_int(item, "entries", orphan->entries);
    json_set_text(item, "reason", orphan_reason(orphan->kind));
    json_append(ctx, item);
}

static int clean_up(struct sweeping *sweeping, struct error *err)
{
    const struct context *context = sweeping->context;
    struct orphans_settings settings = {
        .store = context->store,
        .files = &context->files,
        .trash_ms = sweeper_settings_of(context->config).trash_ms,
        .preview = sweeping->command->dry_run,
        .found = note_orphan,
        .ctx = sweeping->orphans,
    };
    struct orphans *orphans = orphans_new(&settings);
    bool complete = false;
    int result = 0;
    while (result == 0 && !complete)
        result = orphans_work(orphans, CLEANUP_STEP_MS, &complete, err);
    orphans_free(orphans);
    return result;
}

static void print_json(const struct sweeping *sweeping)
{
    const struct store_sweep *sweep = &sweeping->sweep;
    JSON(root) = json_new_object();
    struct json *released = json_new_array();
    for (size_t i = 0; i < sweep->count; i++)
        json_append(released, store_released_json(&sweep->released[i]));
    json_set_bool(root, "dry_run", sweeping->command->dry_run);
    json_set_text(root, "outcome", store_outcome_name(sweep->outcome));
    json_set_text(root, "reason", store_outcome_reason(sweep->outcome));
    json_set(root, "released", released);
    json_set(root, "orphans", sweeping->orphans);
    json_show(root, stdout);
}

static void print_orphan(const struct json *orphan, bool dry_run)
{
    const char *path = "", *kind = "", *reason = "";
    json_get_text(orphan, "path", ORPHANS_PATH_BYTES, &path);
    json_get_text(orphan, "kind", 16, &kind);
    json_get_text(orphan, "reason", SWEEP_REASON_BYTES, &reason);
    bool deleted = kind[0] == 'e'; /* expired */
    printf("%s%s: %s: %s\n", dry_run ? "would be " : "", deleted ? "deleted" : "moved to the trash",
           path, reason);
}

static void print_text(struct sweeping *sweeping)
{
    const struct store_sweep *sweep = &sweeping->sweep;
    bool dry_run = sweeping->command->dry_run;
    if (sweep->count == 0)
        printf("nothing %s released: %s\n", dry_run ? "would be" : "was",
               store_outcome_reason(sweep->outcome));
    for (size_t i = 0; i < sweep->count; i++)
        printf("%sreleased: job %lld (claim %lld): %s\n", dry_run ? "would be " : "",
               (long long)sweep->released[i].job_id, (long long)sweep->released[i].epoch,
               sweep->released[i].detail);
    for (const struct json *item = json_first(sweeping->orphans); item; item = json_next(item))
        print_orphan(item, dry_run);
    json_free(sweeping->orphans);
}

static int sweep_once(struct context *context, const struct command *command, struct error *err)
{
    char instance[TAILSLATE_UUID_BYTES];
    struct sweeping sweeping = {
        .context = context, .command = command, .sweep = {.instance = instance, .by_order = true}};
    const struct verifier_config *config = context->config;
    uuid_make_v4(instance);
    if (gate_open(config->redis.url, config->redis.password_file, config->redis.prefix,
                  &sweeping.gate, err) != 0)
        return -1;
    sweeping.orphans = json_new_array();
    int result = sweep_claims(&sweeping, err);
    if (result == 0 && store_sweep_succeeded(sweeping.sweep.outcome))
        result = clean_up(&sweeping, err);
    if (result == 0)
        command->json ? print_json(&sweeping) : print_text(&sweeping);
    else
        json_free(sweeping.orphans);
    store_sweep_fini(&sweeping.sweep);
    gate_close(sweeping.gate);
    return result;
}

int command_sweep(const struct verifier_config *config, const struct command *command)
{
    return command_with_context(config, command, sweep_once);
}
