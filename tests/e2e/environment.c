/* Both programs without a configuration file: the environment alone configures them, and the
 * processes that they start. */
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>
#include <unistd.h>

enum { CLI_MS = 30 * 1000 };

struct variables {
    char *at[SETTINGS_MAX + RIG_ENV_MAX];
    size_t count;
};

static void variables_free(const struct variables *variables)
{
    for (size_t i = 0; i < variables->count; i++)
        free(variables->at[i]);
}

/* TAILSLATE_GROUP_KEY=value for each setting, a string without its quotes. */
static struct variables variables_of(const struct rig *rig, const struct settings *settings)
{
    struct variables made = {.count = 0};
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->entries[i];
        size_t size = strlen(setting->value), quote = setting->value[0] == '"';
        char *text = must_printf("TAILSLATE_%s_%s=%.*s", setting->group, setting->name,
                                 (int)(size - 2 * quote), setting->value + quote);
        for (char *at = text; *at != '='; at++)
            *at = (char)toupper((unsigned char)*at);
        made.at[made.count++] = text;
    }
    for (size_t i = 0; rig->env[i]; i++)
        made.at[made.count++] = must_strdup(rig->env[i]);
    return made;
}

static struct process *start(const struct rig *rig, const char *program, const char *command,
                             const struct settings *settings)
{
    CLEANUP(variables_free) struct variables variables = variables_of(rig, settings);
    TEXT(log) = rig_path(rig, "%s.log", command);
    return process_start((const char *[]){program, command, NULL},
                         (const char *const *)variables.at, log, NULL);
}

Test(environment, alone_configures_both_programs_and_a_job_goes_through, .timeout = 120)
{
    cr_assert(access("/etc/tailslate/agent.cfg", F_OK) != 0 &&
                  access("/etc/tailslate/verifier.cfg", F_OK) != 0,
              "this machine has a configuration of its own");
    struct rig *rig = rig_new();
    rig->verifier = start(rig, TAILSLATE_VERIFIER, "serve", &rig->verifier_settings);
    process_expect(rig->verifier, "event=verifier.ready", RIG_START_MS, NULL);
    rig->agent = start(rig, TAILSLATE_AGENT, "run", &rig->agent_settings);
    process_expect(rig->agent, "event=agent.ready", RIG_START_MS, NULL);
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    process_expect(rig->agent, "event=job.final", RIG_JOB_MS, NULL);
    rig_wait_completed(rig, job);
    rig_end(rig);
}

Test(environment, check_says_that_there_is_no_file)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    CLEANUP(variables_free) struct variables variables = variables_of(rig, &rig->agent_settings);
    RUN(run) = run_program((const char *[]){TAILSLATE_AGENT, "check", NULL},
                           (const char *const *)variables.at, CLI_MS);
    cr_assert_eq(run.status, 0, "%d %s", run.status, run.out);
    cr_assert(strstr(run.out, "the environment alone"), "%s", run.out);
    rig_end(rig);
}
