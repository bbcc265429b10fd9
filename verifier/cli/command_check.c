#include "verifier/cli/command_check.h"

#include "verifier/cli/preflight.h"
#include "verifier/db/db.h"
#include "verifier/gate/gate.h"
#include "verifier/http/directories.h"

#include <stdio.h>
#include <string.h>

static bool has_finding(const struct findings *findings, const char *key)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->at[i].level >= FINDING_PASSING && strcmp(findings->at[i].key, key) == 0)
            return true;
    return false;
}

static bool check_store(const struct verifier_config *config, struct findings *findings)
{
    struct error err;
    struct store_settings settings = context_store_settings(config);
    struct store *store = store_open(&settings, &err);
    bool is_fine = store && store_ping(store, &err) == 0;
    if (is_fine)
        finding_add(findings, FINDING_GOOD, "store.url", NULL, "%s", config->store.url);
    else
        finding_add_error(findings, "store.url", NULL, &err);
    if (!store && err.code == DB_NO_SCHEMA)
        context_print_remedies(config, stdout);
    store_close(store);
    return is_fine;
}

/* Are these the directories that the database knows? */
static void check_markers(const struct verifier_config *config, bool adopts,
                          struct findings *findings)
{
    char reason[FILES_REASON_BYTES];
    struct error err;
    struct context context;
    if (context_open(config, false, &context, &err) != 0) {
        finding_add_error(findings, "files", NULL, &err);
        return;
    }
    if (adopts && directories_adopt(context.store, &context.files, &err) != 0)
        finding_add_error(findings, "files", NULL, &err);
    else if (files_problem(&context.files, reason))
        finding_add(findings, FINDING_PASSING, "files", NULL, "%s", reason);
    context_close(&context);
}

/* Redis is optional, so its failure is only a note. */
static void check_gate(const struct verifier_config *config, struct findings *findings)
{
    struct gate *gate;
    struct error err;
    if (!config->redis.url[0])
        return;
    if (gate_open(config->redis.url, config->redis.password_file, config->redis.prefix, &gate,
                  &err) != 0)
        finding_add_error(findings, "redis.url", NULL, &err);
    else if (gate_ping(gate, &err) != 0)
        finding_add(findings, FINDING_NOTE, "redis.url",
                    "completions work without the gate until then", "%s", err.message);
    else
        finding_add(findings, FINDING_GOOD, "redis.url", NULL, "%s", config->redis.url);
    gate_close(gate);
}

static bool can_ask_store(const struct findings *findings)
{
    return !has_finding(findings, "store.url") && !has_finding(findings, "store.schema") &&
           !has_finding(findings, "store.password_file");
}

int command_check(const struct verifier_config *config, const struct command *command)
{
    const char *path = command->line.config_path;
    struct findings findings = {.out = stdout};
    if (command->print) {
        verifier_config_print(config, stdout);
        putchar('\n');
    }
    finding_add(&findings, FINDING_GOOD, "configuration", NULL, "%s",
                path ? path : "the environment alone");
    preflight(config, &findings);
    bool has_directories = !has_finding(&findings, "files.uploads_dir") &&
                           !has_finding(&findings, "files.videos_dir");
    if (can_ask_store(&findings) && check_store(config, &findings) && has_directories)
        check_markers(config, command->adopt_directories, &findings);
    if (!has_finding(&findings, "redis.url") && !has_finding(&findings, "redis.password_file"))
        check_gate(config, &findings);
    return findings_exit_status(&findings);
}
