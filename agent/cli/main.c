#include "agent/cli/doctor.h"
#include "agent/cli/fsck.h"
#include "agent/cli/operate.h"
#include "agent/cli/preflight.h"
#include "agent/cli/show.h"
#include "agent/cli/watch.h"
#include "agent/daemon/agent.h"
#include "agent/daemon/encoder_probe.h"
#include "agent/step/step.h"
#include "base/cli.h"
#include "base/log.h"

#include <stdio.h>

struct command {
    struct cli_line line;
    bool is_json, is_watch, is_sample, is_print, is_all, is_repair;
};

typedef int command_run(const struct command *command, struct config *config);

static int do_run(const struct command *command, struct config *config)
{
    struct findings findings = {.out = NULL};
    preflight(config, &findings);
    for (size_t i = 0; i < findings.count; i++)
        if (findings.at[i].level >= FINDING_PASSING)
            log_error("agent.not_started", LOG_TEXT("key", findings.at[i].key),
                      LOG_TEXT("reason", findings.at[i].text));
    if (findings.worst >= FINDING_PASSING)
        return findings_exit_status(&findings);
    return agent_run(config, command->line.config_path);
}

static int do_step(const struct command *command, struct config *config)
{
    return step_main(config, command->line.argument);
}

static int do_encoder_probe(const struct command *command, struct config *config)
{
    (void)command;
    return encoder_probe_main(config);
}

static int do_check(const struct command *command, struct config *config)
{
    return doctor_run(config, command->line.config_path, command->is_print);
}

static int do_status(const struct command *command, struct config *config)
{
    if (command->is_watch)
        return watch_status(config, command->is_json);
    return show_status(config, command->is_json);
}

static int do_list(const struct command *command, struct config *config)
{
    return show_spool(config, command->is_json);
}

static int do_show(const struct command *command, struct config *config)
{
    return show_record(config, command->line.argument);
}

static int do_drain(const struct command *command, struct config *config)
{
    (void)command;
    return operate_node(config, CONTROL_DRAIN, true);
}

static int do_undrain(const struct command *command, struct config *config)
{
    (void)command;
    return operate_node(config, CONTROL_DRAIN, false);
}

static int do_pause(const struct command *command, struct config *config)
{
    (void)command;
    return operate_node(config, CONTROL_PAUSE, true);
}

static int do_unpause(const struct command *command, struct config *config)
{
    (void)command;
    return operate_node(config, CONTROL_PAUSE, false);
}

static int do_retry(const struct command *command, struct config *config)
{
    return command->is_all ? operate_retry_all(config)
                           : operate_retry(config, command->line.argument);
}

static int do_hold(const struct command *command, struct config *config)
{
    return operate_hold(config, command->line.argument);
}

static int do_quarantine(const struct command *command, struct config *config)
{
    return operate_quarantine(config, command->line.argument);
}

static int do_fsck(const struct command *command, struct config *config)
{
    return fsck_run(config, command->is_repair);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct command, member)
#define JSON_FLAG                                                                                  \
    {                                                                                              \
        .name = "json", .offset = AT(is_json), .help = "print JSON"                                \
    }

static const struct cli_option json_only[] = {JSON_FLAG, {.name = NULL}};
static const struct cli_option of_check[] = {
    {.name = "print", .offset = AT(is_print), .help = "first print the effective configuration"},
    {.name = "sample",
     .offset = AT(is_sample),
     .help = "print a configuration file with every key, its description and its default"},
    {.name = NULL}};
static const struct cli_option of_status[] = {
    JSON_FLAG,
    {.name = "watch", .offset = AT(is_watch), .help = "refresh every second; press Ctrl-C to quit"},
    {.name = NULL}};
static const struct cli_option of_retry[] = {
    {.name = "all", .offset = AT(is_all), .help = "every record in the spool"}, {.name = NULL}};
static const struct cli_option of_fsck[] = {
    {.name = "repair",
     .offset = AT(is_repair),
     .help = "quarantine unreadable records, repeat incorrect uploads, delete stray files"},
    {.name = NULL}};

static const struct {
    struct cli_command cli;
    command_run *run;
} commands[] = {
    {{.words = "run",
      .summary = "claim, transcode, deliver (the default)",
      .details =
          "SIGTERM and SIGINT stop it; running steps continue. SIGUSR1 drains it. SIGHUP makes "
          "it\nreload its configuration file."},
     do_run},
    {{.words = "check",
      .options = of_check,
      .summary = "check configuration, disk, tools, server and key",
      .details =
          "Prints one finding per line, and what to do about it. The exit status is 0, 75 for "
          "a\ntemporary problem, or 78 if something has to be fixed. `run` refuses to start by "
          "the\nsame findings."},
     do_check},
    {{.words = "status", .options = of_status, .summary = "show what the agent is doing"},
     do_status},
    {{.words = "drain",
      .summary = "claim nothing more; finish and deliver current work",
      .details = "Stays in effect until undrain, even across restarts and reboots."},
     do_drain},
    {{.words = "undrain", .summary = "claim again"}, do_undrain},
    {{.words = "pause",
      .summary = "claim nothing more and suspend the transcoders",
      .details =
          "Stays in effect until unpause, even across restarts and reboots. Claims are extended."},
     do_pause},
    {{.words = "unpause", .summary = "resume the transcoders and claim again"}, do_unpause},
    {{.words = "spool ls", .options = json_only, .summary = "list the records in the spool"},
     do_list},
    {{.words = "spool show", .argument = "ID", .summary = "show one record and its files"},
     do_show},
    {{.words = "spool retry",
      .argument = "ID",
      .instead = "all",
      .options = of_retry,
      .summary = "retry now and release any hold",
      .details = "Moves a quarantined record back to the spool."},
     do_retry},
    {{.words = "spool hold",
      .argument = "ID",
      .summary = "put a record on hold: do not present it until retry"},
     do_hold},
    {{.words = "spool quarantine", .argument = "ID", .summary = "move a record to quarantine"},
     do_quarantine},
    {{.words = "spool fsck",
      .options = of_fsck,
      .summary = "check that every record is complete and consistent",
      .details =
          "The exit status is 0, or 65 if there are findings. Work that may be finished is never "
          "deleted."},
     do_fsck},
    {{.words = "step", .argument = "RECORD"}, do_step},
    {{.words = "probe-encoders"}, do_encoder_probe},
};

static const struct cli_command *command_at(size_t index)
{
    return index < sizeof commands / sizeof commands[0] ? &commands[index].cli : NULL;
}

/* run and check judge the values by themselves, together with the machine. */
static int load(const struct command *command, struct config *config)
{
    struct error err;
    const char *path = command->line.config_path;
    command_run *run = commands[command->line.command].run;
    bool judges = run == do_run || run == do_check;
    int result = judges ? agent_config_read(path, config, &err)
                        : agent_config_load(path, config, &err);
    if (result != 0) {
        fprintf(stderr, "tailslate-agent: %s\n", err.message);
        return error_exit_status(&err);
    }
    must(log_configure(config->log.level, config->log.format));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct cli cli = {
        .name = "tailslate-agent",
        .config_path = AGENT_CONFIG_PATH,
        .closing =
            "TAILSLATE_<GROUP>_<KEY> in the environment overrides any key; no file is needed.",
        .command = command_at};
    static struct config config; /* 16 KB: not on the stack of every command */
    struct command command = {.is_json = false};
    int status;
    if (!cli_parse(&cli, argc, argv, &command.line, &command, &status))
        return status;
    if (command.is_sample) {
        agent_config_print_sample(stdout);
        return 0;
    }
    command.line.config_path = config_find(command.line.config_path, AGENT_CONFIG_PATH);
    status = load(&command, &config);
    return status ? status : commands[command.line.command].run(&command, &config);
}
