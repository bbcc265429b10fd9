#include "agent.h"
#include "doctor.h"
#include "fsck.h"
#include "operate.h"
#include "show.h"
#include "step.h"
#include "trial.h"
#include "watch.h"

#include "tailslate/log.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_USAGE = 64, WORDS_MAX = 4 };

static const char usage[] =
    "usage: tailslate-agent [-c FILE] [VERB]\n"
    "\n"
    "  run                    work: claim, transcode, deliver (the default)\n"
    "  check [--sample]       look at configuration, disk, tools, server and key; exit 0, 75 or "
    "78\n"
    "                         (--sample: print agent.cfg.sample)\n"
    "  status [--json] [--watch]\n"
    "                         what the agent is doing\n"
    "  drain | undrain        claim nothing more, finish and deliver; also after a restart\n"
    "  pause | unpause        the same, and stop the transcoders where they stand\n"
    "  spool ls [--json]      the records in the spool\n"
    "  spool show ID          one record, with what it holds\n"
    "  spool retry ID|--all   now, whatever it waits for; out of quarantine too\n"
    "  spool hold ID          present nothing of it until retry\n"
    "  spool quarantine ID    set it aside\n"
    "  spool fsck [--repair]  is every record whole? exit 0, or 65 with findings\n"
    "  version\n"
    "\n"
    "  -c, --config FILE      default " AGENT_CONFIG_PATH "\n"
    "  -h, --help\n"
    "\n"
    "Signals to run: TERM, INT stop (running steps go on); USR1 drain; HUP re-read the file.\n";

struct command {
    const char *config_path;
    const char *words[WORDS_MAX]; /* verb and what belongs to it */
    int word_count;
    bool is_json, is_watch, is_sample, is_help, is_all, is_repair;
};

static int parse_options(int argc, char **argv, struct command *command)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},         {"watch", no_argument, NULL, 'w'},
        {"sample", no_argument, NULL, 's'},       {"all", no_argument, NULL, 'a'},
        {"repair", no_argument, NULL, 'r'},       {0},
    };
    int option;
    *command = (struct command){.config_path = AGENT_CONFIG_PATH};
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            command->config_path = optarg;
            break;
        case 'h':
            command->is_help = true;
            break;
        case 'j':
            command->is_json = true;
            break;
        case 'w':
            command->is_watch = true;
            break;
        case 'a':
            command->is_all = true;
            break;
        case 'r':
            command->is_repair = true;
            break;
        case 's':
            command->is_sample = true;
            break;
        default:
            return -1;
        }
    }
    for (; optind < argc; optind++) {
        if (command->word_count == WORDS_MAX)
            return -1;
        command->words[command->word_count++] = argv[optind];
    }
    return 0;
}

static bool is(const struct command *command, const char *verb, const char *word, int count)
{
    const char *given = command->word_count > 0 ? command->words[0] : "run";
    if (strcmp(given, verb) != 0 || (command->word_count > 1 ? command->word_count : 1) != count)
        return false;
    return !word || (command->word_count > 1 && strcmp(command->words[1], word) == 0);
}

static int load(const struct command *command, struct config *config)
{
    struct error err;
    if (agent_config_load(command->config_path, config, &err) != 0) {
        fprintf(stderr, "tailslate-agent: %s\n", err.message);
        return error_exit_status(&err);
    }
    must(log_configure(config->log.level, config->log.format));
    return 0;
}

/* getopt has already said what is wrong with an option. */
static int refuse(const struct command *command)
{
    if (command->word_count > 0) {
        fputs("tailslate-agent: not understood:", stderr);
        for (int i = 0; i < command->word_count; i++)
            fprintf(stderr, " %s", command->words[i]);
        fputs("\n\n", stderr);
    }
    fputs(usage, stderr);
    return EXIT_USAGE;
}

typedef int verb_run(const struct command *command, struct config *config);

static int do_run(const struct command *command, struct config *config)
{
    return agent_run(config, command->config_path);
}

static int do_step(const struct command *command, struct config *config)
{
    return step_main(config, command->words[1]);
}

static int do_trial(const struct command *command, struct config *config)
{
    (void)command;
    return trial_main(config);
}

static int do_check(const struct command *command, struct config *config)
{
    return doctor_run(config, command->config_path);
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
    return show_record(config, command->words[2]);
}

static int do_drain(const struct command *command, struct config *config)
{
    return operate_room(config, ORDER_DRAIN, command->words[0][0] != 'u');
}

static int do_pause(const struct command *command, struct config *config)
{
    return operate_room(config, ORDER_PAUSE, command->words[0][0] != 'u');
}

static int do_retry(const struct command *command, struct config *config)
{
    return operate_retry(config, command->words[2]);
}

static int do_retry_all(const struct command *command, struct config *config)
{
    return command->is_all ? operate_retry_all(config) : refuse(command);
}

static int do_hold(const struct command *command, struct config *config)
{
    return operate_hold(config, command->words[2]);
}

static int do_quarantine(const struct command *command, struct config *config)
{
    return operate_quarantine(config, command->words[2]);
}

static int do_fsck(const struct command *command, struct config *config)
{
    return fsck_run(config, command->is_repair);
}

static const struct {
    const char *verb, *word;
    int count;
    verb_run *run;
} verbs[] = {
    {"run", NULL, 1, do_run},
    {"step", NULL, 2, do_step},
    {"trial", NULL, 1, do_trial},
    {"check", NULL, 1, do_check},
    {"status", NULL, 1, do_status},
    {"spool", "ls", 2, do_list},
    {"spool", "show", 3, do_show},
    {"drain", NULL, 1, do_drain},
    {"undrain", NULL, 1, do_drain},
    {"pause", NULL, 1, do_pause},
    {"unpause", NULL, 1, do_pause},
    {"spool", "retry", 3, do_retry},
    {"spool", "retry", 2, do_retry_all},
    {"spool", "hold", 3, do_hold},
    {"spool", "quarantine", 3, do_quarantine},
    {"spool", "fsck", 2, do_fsck},
};

static int dispatch(const struct command *command)
{
    static struct config config; /* 16 KB: not on the stack of every verb */
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (!is(command, verbs[i].verb, verbs[i].word, verbs[i].count))
            continue;
        if ((command->is_all && verbs[i].run != do_retry_all) ||
            (command->is_repair && verbs[i].run != do_fsck))
            break;
        int status = load(command, &config);
        return status ? status : verbs[i].run(command, &config);
    }
    return refuse(command);
}

int main(int argc, char **argv)
{
    struct command command;
    if (parse_options(argc, argv, &command) != 0)
        return refuse(&command);
    if (command.is_help || is(&command, "help", NULL, 1)) {
        fputs(usage, stdout);
        return 0;
    }
    if (is(&command, "version", NULL, 1)) {
        puts("tailslate-agent " TAILSLATE_VERSION);
        return 0;
    }
    if (is(&command, "check", NULL, 1) && command.is_sample) {
        agent_config_print_sample(stdout);
        return 0;
    }
    return dispatch(&command);
}
