#include "verbs.h"

#include "tailslate/log.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: tailslate-verifier [-c FILE] [VERB]\n"
    "\n"
    "  serve                             serve the Worker API (the default)\n"
    "  check [--sample]                  look at configuration, store, folders and secret, print\n"
    "                                    what is in effect; exit 0, 75 or 78\n"
    "                                    (--sample: print verifier.cfg.sample)\n"
    "  status [--json]                   who works on what, what was completed and released, and "
    "why\n"
    "  worker add NAME [--key-file FILE] register a worker; its key goes to FILE, a new one, or "
    "is\n"
    "                                   printed\n"
    "  worker list [--json]\n"
    "  worker rotate NAME|ID [--key-file FILE] [--overlap TIME]\n"
    "                                    give a worker a new key; the old one is good for TIME "
    "more\n"
    "                                    (24h; 90s, 30m, 7d, 0)\n"
    "  worker revoke ID\n"
    "  job add FILE [--slug S] [--title T]\n"
    "                                    copy a film in and make a job of it; prints its id\n"
    "  job list [--json]\n"
    "  job show ID [--json]\n"
    "  job release ID                    take the claim away, so that the job is handed out again\n"
    "  sweep --once [--dry-run] [--json] release now what nobody holds, clear orphaned output "
    "away,\n"
    "                                    and say why (--dry-run: only say what would be done)\n"
    "  version\n"
    "\n"
    "  -c, --config FILE                 default " VERIFIER_CONFIG_PATH "\n"
    "  -h, --help\n"
    "\n"
    "worker and job work on the store, while a server runs on it, too.\n";

/* getopt has already said what is wrong with an option. */
static int refuse(const struct command *command)
{
    if (command->word_count > 0) {
        fputs("tailslate-verifier: not understood:", stderr);
        for (int i = 0; i < command->word_count; i++)
            fprintf(stderr, " %s", command->words[i]);
        fputs("\n\n", stderr);
    }
    fputs(usage, stderr);
    return STATUS_USAGE;
}

/* What does not stand for itself: the words are taken as they come. */
static int parse(int argc, char **argv, struct command *command, bool *help)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"key-file", required_argument, NULL, 'k'},
        {"overlap", required_argument, NULL, 'O'},
        {"slug", required_argument, NULL, 's'},
        {"title", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"sample", no_argument, NULL, 'S'},
        {"once", no_argument, NULL, 'o'},
        {"dry-run", no_argument, NULL, 'd'},
        {0},
    };
    int option;
    *command = (struct command){.config_path = VERIFIER_CONFIG_PATH, .overlap = "24h"};
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            command->config_path = optarg;
            break;
        case 'h':
            *help = true;
            break;
        case 'k':
            command->key_file = optarg;
            break;
        case 'O':
            command->overlap = optarg;
            break;
        case 's':
            command->slug = optarg;
            break;
        case 't':
            command->title = optarg;
            break;
        case 'j':
            command->json = true;
            break;
        case 'S':
            command->sample = true;
            break;
        case 'o':
            command->once = true;
            break;
        case 'd':
            command->dry_run = true;
            break;
        default:
            return -1;
        }
    }
    for (; optind < argc; optind++) {
        if (command->word_count == sizeof command->words / sizeof command->words[0])
            return -1;
        command->words[command->word_count++] = argv[optind];
    }
    return 0;
}

static const struct entry {
    const char *verb, *action; /* action NULL: there is none */
    int words;
    verb *run;
    verb_action *act; /* instead of run: with store and folders opened */
} verbs[] = {
    {"serve", NULL, 1, verb_serve, NULL},
    {"check", NULL, 1, verb_check, NULL},
    {"status", NULL, 1, NULL, verb_status},
    {"worker", "add", 3, NULL, verb_worker_add},
    {"worker", "list", 2, NULL, verb_worker_list},
    {"worker", "rotate", 3, NULL, verb_worker_rotate},
    {"worker", "revoke", 3, NULL, verb_worker_revoke},
    {"job", "add", 3, NULL, verb_job_add},
    {"job", "list", 2, NULL, verb_job_list},
    {"job", "show", 3, NULL, verb_job_show},
    {"job", "release", 3, NULL, verb_job_release},
    {"sweep", NULL, 1, verb_sweep, NULL},
};

static const struct entry *find(const struct command *command)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(command->words[0], verbs[i].verb) == 0 &&
            command->word_count == verbs[i].words &&
            (!verbs[i].action || strcmp(command->words[1], verbs[i].action) == 0))
            return &verbs[i];
    return NULL;
}

static int with_config(const struct entry *entry, const struct command *command)
{
    struct verifier_config config;
    struct error err;
    if (verifier_config_load(command->config_path, &config, &err) != 0)
        return verb_failed(&err);
    must(log_configure(config.log_level, config.log_format));
    return entry->run ? entry->run(&config, command)
                      : verb_with_context(&config, command, entry->act);
}

int main(int argc, char **argv)
{
    struct command command;
    bool help = false;
    if (parse(argc, argv, &command, &help) != 0)
        return refuse(&command);
    if (help) {
        fputs(usage, stdout);
        return STATUS_OK;
    }
    if (command.word_count == 0)
        command.words[command.word_count++] = "serve";
    if (command.word_count == 1 && strcmp(command.words[0], "version") == 0) {
        puts("tailslate-verifier " TAILSLATE_VERSION);
        return STATUS_OK;
    }
    const struct entry *entry = find(&command);
    if (!entry)
        return refuse(&command);
    if (entry->run == verb_check && command.sample) {
        verifier_config_print_sample(stdout);
        return STATUS_OK;
    }
    return with_config(entry, &command);
}
