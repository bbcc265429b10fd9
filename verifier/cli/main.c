#include "base/log.h"
#include "verifier/cli/command_add.h"
#include "verifier/cli/command_check.h"
#include "verifier/cli/command_job.h"
#include "verifier/cli/command_list.h"
#include "verifier/cli/command_operation.h"
#include "verifier/cli/command_serve.h"
#include "verifier/cli/command_status.h"
#include "verifier/cli/command_sweep.h"
#include "verifier/cli/command_webhook.h"
#include "verifier/cli/command_worker.h"

#include <stddef.h>
#include <stdio.h>

#define AT(member) offsetof(struct command, member)
#define JSON_FLAG                                                                                  \
    {                                                                                              \
        .name = "json", .offset = AT(json), .help = "print JSON"                                   \
    }
#define KEY_FILE                                                                                   \
    {                                                                                              \
        .name = "key-file", .value = "FILE", .offset = AT(key_file),                               \
        .help = "write the key to this new file, mode 0600, instead of printing it; -: print "     \
                "nothing but the key"                                                              \
    }

static const struct cli_option json_only[] = {JSON_FLAG, {.name = NULL}};
static const struct cli_option of_check[] = {
    {.name = "adopt-directories",
     .offset = AT(adopt_directories),
     .help = "accept uploads_dir and videos_dir as they are, where they were replaced on purpose"},
    {.name = "print", .offset = AT(print), .help = "first print the effective configuration"},
    {.name = "sample",
     .offset = AT(sample),
     .help = "print a configuration file with every key, its help and its default"},
    {.name = NULL}};
static const struct cli_option of_worker_add[] = {KEY_FILE, {.name = NULL}};
static const struct cli_option of_worker_rotate[] = {
    KEY_FILE,
    {.name = "overlap",
     .value = "TIME",
     .offset = AT(overlap),
     .help = "how long the old key stays valid: 90s, 30m, 24h (the default), 7d, 0"},
    {.name = NULL}};
static const struct cli_option of_job_add[] = {
    {.name = "slug",
     .value = "SLUG",
     .offset = AT(slug),
     .help = "the video's directory and part of its URL; default: from the file's name"},
    {.name = "title",
     .value = "TITLE",
     .offset = AT(title),
     .help = "the video's title; default: the file's name"},
    {.name = "priority",
     .value = "N",
     .offset = AT(priority),
     .help = "-1000 to 1000; jobs with a greater one are claimed first; default: 0"},
    {.name = "link",
     .offset = AT(link),
     .help = "a hard link instead of a copy: takes no space; do not change the file afterwards"},
    {.name = "settled",
     .value = "SECONDS",
     .offset = AT(settled),
     .help = "leave files that changed within so many seconds: they may still be written"},
    {.name = "remove", .offset = AT(remove), .help = "remove each file after its job was added"},
    {.name = NULL}};
static const struct cli_option of_job_list[] = {
    {.name = "status",
     .value = "STATUS",
     .offset = AT(status),
     .help = "only these: pending, processing, ready, failed"},
    {.name = "failed", .offset = AT(failed), .help = "only those that have failed, as --status"},
    {.name = "worker",
     .value = "NAME|ID",
     .offset = AT(worker),
     .help = "only those that this worker claimed last"},
    {.name = "since",
     .value = "TIME",
     .offset = AT(since),
     .help = "only those added or ended since: 90s, 30m, 24h, 7d, 2026-01-31"},
    {.name = "limit",
     .value = "N",
     .offset = AT(limit),
     .help = "how many, the newest first: 1 to 10000; default: 100"},
    JSON_FLAG,
    {.name = NULL}};
static const struct cli_option of_job_retry[] = {
    {.name = "failed",
     .offset = AT(failed),
     .help = "all jobs that have failed; not those that were cancelled"},
    {.name = NULL}};
static const struct cli_option of_job_delete[] = {
    {.name = "files",
     .offset = AT(files),
     .help = "move the source and the output to the trash; without it they stay"},
    {.name = NULL}};
static const struct cli_option of_job_retranscode[] = {
    {.name = "quality",
     .value = "LIST",
     .offset = AT(quality),
     .help = "only these renditions, separated by commas: 1080p,720p"},
    {.name = NULL}};
static const struct cli_option of_job_priority[] = {{.name = "priority",
                                                     .value = "N",
                                                     .offset = AT(priority),
                                                     .help = "-1000 to 1000; 0 is usual",
                                                     .is_required = true},
                                                    {.name = NULL}};
static const struct cli_option of_sweep[] = {
    {.name = "once",
     .offset = AT(once),
     .help = "required, because a running server sweeps by itself",
     .is_required = true},
    {.name = "dry-run", .offset = AT(dry_run), .help = "only print what would be done"},
    JSON_FLAG,
    {.name = NULL}};

static const struct {
    struct cli_command cli;
    command_function *run;
    command_action *act; /* instead of run: needs the store and the directories */
} commands[] = {
    {{.words = "serve", .summary = "serve the Worker API (the default)"}, command_serve, NULL},
    {{.words = "check",
      .options = of_check,
      .summary = "check configuration, port, certificates, secrets, directories, store and Redis",
      .details =
          "Prints one finding per line, and what to do about it. The exit status is 0, 75 if "
          "the\nproblem may pass, or 78 if something has to be fixed. `serve` refuses to start "
          "by the\nsame findings."},
     command_check,
     NULL},
    {{.words = "status",
      .options = json_only,
      .summary = "show what is running, completed and released, and why"},
     NULL,
     command_status},
    {{.words = "worker add",
      .argument = "NAME",
      .options = of_worker_add,
      .summary = "register a worker",
      .details = "Prints the worker's ID, then its API key, which is not shown again."},
     NULL,
     command_worker_add},
    {{.words = "worker list", .options = json_only, .summary = "list the workers"},
     NULL,
     command_worker_list},
    {{.words = "worker rotate",
      .argument = "NAME|ID",
      .options = of_worker_rotate,
      .summary = "give a worker a new key",
      .details = "It stays the same worker and keeps its claims."},
     NULL,
     command_worker_rotate},
    {{.words = "worker revoke",
      .argument = "NAME|ID",
      .summary = "disable a worker and revoke its keys",
      .details = "Its jobs stay claimed until their claims expire."},
     NULL,
     command_worker_revoke},
    {{.words = "job add",
      .argument = "FILE...",
      .takes_several = true,
      .options = of_job_add,
      .summary = "copy videos in and add a job for each",
      .details = "FILE may also be one directory: all videos in it, but not below it. Prints the "
                 "ID of each job.\nA file that is refused does not keep the others out; the exit "
                 "status is then 65."},
     NULL,
     command_job_add},
    {{.words = "job list",
      .options = of_job_list,
      .summary = "list the jobs, the newest first",
      .details = "Below a job: why it failed, or what it waits for."},
     NULL,
     command_job_list},
    {{.words = "job show",
      .argument = "ID",
      .options = json_only,
      .summary = "show one job: its holder, progress, completion and warnings"},
     NULL,
     command_job_show},
    {{.words = "job release",
      .argument = "ID",
      .summary = "release the claim on a job, so that it can be claimed again"},
     NULL,
     command_job_release},
    {{.words = "job retry",
      .argument = "ID",
      .instead = "failed",
      .options = of_job_retry,
      .summary = "let a failed or cancelled job wait for a worker again"},
     NULL,
     command_job_retry},
    {{.words = "job cancel",
      .argument = "ID",
      .summary = "end a job for good; its worker stops it at its next report"},
     NULL,
     command_job_cancel},
    {{.words = "job delete",
      .argument = "ID",
      .options = of_job_delete,
      .summary = "delete a job and its video; cancel it first if it is claimed"},
     NULL,
     command_job_delete},
    {{.words = "job retranscode",
      .argument = "ID",
      .options = of_job_retranscode,
      .summary = "transcode a finished video again",
      .details = "The video plays as before until a worker claims the job."},
     NULL,
     command_job_retranscode},
    {{.words = "job priority",
      .argument = "ID",
      .options = of_job_priority,
      .summary = "let a job be claimed sooner or later than others"},
     NULL,
     command_job_priority},
    {{.words = "sweep",
      .options = of_sweep,
      .summary = "release expired claims and remove orphaned output now",
      .details = "Prints what was released and removed, and why."},
     command_sweep,
     NULL},
    {{.words = "webhook test",
      .summary = "send a test event to the webhook's receiver",
      .details = "Prints its answer. The exit status is 0, 69 if the receiver refuses the event, "
                 "or 75 if it\ndoes not answer."},
     command_webhook_test,
     NULL},
};

static const struct cli_command *command_at(size_t index)
{
    return index < sizeof commands / sizeof commands[0] ? &commands[index].cli : NULL;
}

/* serve and check judge the values by themselves, together with the machine. */
static int load(const struct command *command, struct verifier_config *config, struct error *err)
{
    command_function *run = commands[command->line.command].run;
    bool judges = run == command_serve || run == command_check;
    return judges ? verifier_config_read(command->line.config_path, config, err)
                  : verifier_config_load(command->line.config_path, config, err);
}

static bool only_reads(command_action *action)
{
    return action == command_status || action == command_worker_list ||
           action == command_job_list || action == command_job_show;
}

int main(int argc, char **argv)
{
    static const struct cli cli = {
        .name = "tailslate-verifier",
        .config_path = VERIFIER_CONFIG_PATH,
        .closing =
            "Commands that read or change the store also work while a server runs on it.\n"
            "TAILSLATE_<GROUP>_<KEY> in the environment overrides any key; no file is needed.",
        .command = command_at};
    struct command command = {.overlap = "24h"};
    struct verifier_config config;
    struct error err;
    int status;
    if (!cli_parse(&cli, argc, argv, &command.line, &command, &status))
        return status;
    if (command.sample) {
        verifier_config_print_sample(stdout);
        return STATUS_OK;
    }
    command.line.config_path = config_find(command.line.config_path, VERIFIER_CONFIG_PATH);
    if (load(&command, &config, &err) != 0)
        return command_failed(&err);
    must(log_configure(config.log.level, config.log.format));
    command_function *run = commands[command.line.command].run;
    if (run)
        return run(&config, &command);
    command_action *act = commands[command.line.command].act;
    return (only_reads(act) ? command_reading : command_with_context)(&config, &command, act);
}
