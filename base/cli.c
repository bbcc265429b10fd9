#include "base/cli.h"

#include "base/cli_help.h"
#include "lib/error.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 32, FIRST_NAME = 256, COMPLAINT_BYTES = 256 };

static const struct cli_command built_in[] = {
    {.words = "version", .summary = "print the version"},
    {.words = "completion"},
};
enum { VERSION, COMPLETION, BUILT_IN };

static size_t own_count(const struct cli *cli)
{
    size_t count = 0;
    while (cli->command(count))
        count++;
    return count;
}

const struct cli_command *cli_at(const struct cli *cli, size_t index)
{
    size_t own = own_count(cli);
    if (index < own)
        return cli->command(index);
    return index - own < BUILT_IN ? &built_in[index - own] : NULL;
}

bool cli_in_group(const struct cli_command *command, const char *group)
{
    size_t size = strlen(group);
    return command->summary && strncmp(command->words, group, size) == 0 &&
           command->words[size] == ' ';
}

bool cli_is_group(const struct cli *cli, const char *words)
{
    const struct cli_command *command;
    for (size_t i = 0; (command = cli_at(cli, i)); i++)
        if (cli_in_group(command, words))
            return true;
    return false;
}

/* ---- options --------------------------------------------------------------------------------- */

/* Every option of every command, for getopt: options may come before the command, so which ones are
 * allowed is known only later. */
struct names {
    struct option at[NAMES_MAX + 1];
    int count;
};

static void names_add(struct names *names, const char *name, bool has_value, int letter)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->at[i].name, name) == 0) {
            must(names->at[i].has_arg == has_value);
            return;
        }
    must(names->count < NAMES_MAX);
    names->at[names->count] = (struct option){name, has_value, NULL,
                                              letter ? letter : FIRST_NAME + names->count};
    names->count++;
}

static void names_collect(const struct cli *cli, struct names *names)
{
    const struct cli_command *command;
    *names = (struct names){.count = 0};
    names_add(names, "config", true, 'c');
    names_add(names, "help", false, 'h');
    for (size_t i = 0; (command = cli->command(i)); i++)
        for (const struct cli_option *option = command->options; option && option->name; option++)
            names_add(names, option->name, option->value, 0);
}

/* What getopt refused: it is argv[optind - 1] or, in a bundle, optopt. */
static void complain(char complaint[COMPLAINT_BYTES], int found, char **argv)
{
    const char *given = argv[optind - 1];
    char letter[] = {'-', (char)optopt, '\0'};
    bool is_long = strncmp(given, "--", 2) == 0;
    if (complaint[0])
        return;
    if (found == ':')
        snprintf(complaint, COMPLAINT_BYTES, "option '%.200s' needs a value", given);
    else if (is_long && optopt)
        snprintf(complaint, COMPLAINT_BYTES, "option '%.*s' takes no value",
                 (int)strcspn(given, "="), given);
    else
        snprintf(complaint, COMPLAINT_BYTES, "unknown option '%.200s'",
                 is_long || !optopt ? given : letter);
}

/* ---- the line -------------------------------------------------------------------------------- */

struct parsing {
    const struct cli *cli;
    struct names names;
    int argc;
    char **argv;
    char complaint[COMPLAINT_BYTES]; /* an option that no command has */
    bool wants_help;
    char **words; /* the arguments without the options, later without the command's name */
    int word_count;
    const struct cli_command *command;
    const char *named; /* the subject of errors: the command's name, if it was given */
};

static bool refuse(const struct parsing *parsing, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One line, and where to read more. */
static bool refuse(const struct parsing *parsing, const char *format, ...)
{
    const char *name = parsing->cli->name, *about = parsing->named;
    fprintf(stderr, "%s: %s%s", name, about, about[0] ? ": " : "");
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nTry '%s %s%s--help'.\n", name, about, about[0] ? " " : "");
    return false;
}

/* getopt moves the arguments after the options, and a second pass leaves them there. */
static void find_words(struct parsing *parsing)
{
    int found;
    optind = 0; /* restart, in glibc and in musl */
    opterr = 0;
    while ((found = getopt_long(parsing->argc, parsing->argv, ":c:h", parsing->names.at, NULL)) !=
           -1) {
        if (found == '?' || found == ':')
            complain(parsing->complaint, found, parsing->argv);
        parsing->wants_help |= found == 'h';
    }
    parsing->words = parsing->argv + optind;
    parsing->word_count = parsing->argc - optind;
    if (parsing->word_count > 0 && strcmp(parsing->words[0], "help") == 0) {
        parsing->wants_help = true;
        parsing->words++;
        parsing->word_count--;
    }
}

/* How many of the arguments name this command; 0: they name another one. */
static int matching(const struct cli_command *command, char **words, int count)
{
    size_t first = strcspn(command->words, " ");
    if (count < 1 || strlen(words[0]) != first || memcmp(command->words, words[0], first) != 0)
        return 0;
    if (!command->words[first])
        return 1;
    return count > 1 && strcmp(command->words + first + 1, words[1]) == 0 ? 2 : 0;
}

static bool find_command(struct parsing *parsing, size_t *index)
{
    const struct cli_command *command;
    parsing->named = "";
    for (*index = 0; (command = cli_at(parsing->cli, *index)); (*index)++) {
        int count = matching(command, parsing->words, parsing->word_count);
        if (count == 0 && parsing->word_count > 0)
            continue;
        parsing->command = command;
        parsing->named = count > 0 ? command->words : "";
        parsing->words += count;
        parsing->word_count -= count;
        return true;
    }
    if (cli_is_group(parsing->cli, parsing->words[0]))
        parsing->named = parsing->words[0];
    return false;
}

/* There is no such command; within a group the error is about its second word. */
static bool refuse_words(const struct parsing *parsing)
{
    bool is_group = parsing->named[0];
    if (is_group && parsing->word_count == 1)
        return refuse(parsing, "missing command");
    return refuse(parsing, "unknown command '%s'", parsing->words[is_group ? 1 : 0]);
}

static const struct cli_option *find_option(const struct cli_command *command, const char *name)
{
    for (const struct cli_option *option = command->options; option && option->name; option++)
        if (strcmp(option->name, name) == 0)
            return option;
    return NULL;
}

/* The second pass: the command is known. */
static bool take_options(const struct parsing *parsing, struct cli_line *line, char *options)
{
    int found;
    optind = 0;
    while ((found = getopt_long(parsing->argc, parsing->argv, ":c:h", parsing->names.at, NULL)) !=
           -1) {
        if (found == 'c')
            line->config_path = optarg;
        if (found < FIRST_NAME)
            continue;
        const char *name = parsing->names.at[found - FIRST_NAME].name;
        const struct cli_option *option = find_option(parsing->command, name);
        if (!option)
            return refuse(parsing, "unknown option '--%s'", name);
        if (option->value)
            memcpy(options + option->offset, &optarg, sizeof optarg);
        else
            memcpy(options + option->offset, &(bool){true}, sizeof(bool));
    }
    return true;
}

static bool is_given(const struct cli_option *option, const char *options)
{
    static const char nothing[sizeof(char *)];
    size_t size = option->value ? sizeof(char *) : sizeof(bool);
    return memcmp(options + option->offset, nothing, size) != 0;
}

static bool take_argument(const struct parsing *parsing, struct cli_line *line, const char *options)
{
    const struct cli_command *command = parsing->command;
    const struct cli_option *instead = command->instead ? find_option(command, command->instead)
                                                        : NULL;
    int wanted = command->argument && !(instead && is_given(instead, options)) ? 1 : 0;
    if (parsing->word_count > wanted && !(wanted && command->takes_several))
        return refuse(parsing, "unexpected argument '%s'", parsing->words[wanted]);
    if (parsing->word_count < wanted)
        return refuse(parsing, "missing %s%s%s", command->argument, instead ? " or --" : "",
                      instead ? instead->name : "");
    line->argument = wanted ? parsing->words[0] : NULL;
    line->arguments = parsing->words;
    line->argument_count = wanted ? parsing->word_count : 0;
    for (const struct cli_option *option = command->options; option && option->name; option++)
        if (option->is_required && !is_given(option, options))
            return refuse(parsing, "missing --%s", option->name);
    return true;
}

/* Without a command's name, or with a group's name, print the list of commands. */
static bool print_help(const struct parsing *parsing)
{
    if (parsing->command && parsing->named[0])
        cli_print_command(parsing->cli, parsing->command);
    else if (parsing->word_count <= 1)
        cli_print_summary(parsing->cli, parsing->named);
    else
        return refuse_words(parsing);
    return true;
}

static bool is_built_in(const struct parsing *parsing)
{
    if (parsing->command == &built_in[VERSION])
        printf("%s %s\n", parsing->cli->name, TAILSLATE_VERSION);
    else if (parsing->command == &built_in[COMPLETION])
        cli_print_completion(parsing->cli);
    else
        return false;
    return true;
}

bool cli_parse(const struct cli *cli, int argc, char **argv, struct cli_line *line, void *options,
               int *status)
{
    struct parsing parsing = {.cli = cli, .argc = argc, .argv = argv};
    *line = (struct cli_line){0};
    *status = CLI_USAGE;
    names_collect(cli, &parsing.names);
    find_words(&parsing);
    bool is_known = find_command(&parsing, &line->command);
    if (parsing.complaint[0])
        return refuse(&parsing, "%s", parsing.complaint);
    if (!is_known && !(parsing.wants_help && parsing.named[0]))
        return refuse_words(&parsing);
    if (parsing.wants_help) {
        *status = print_help(&parsing) ? 0 : CLI_USAGE;
        return false;
    }
    if (!take_options(&parsing, line, options) || !take_argument(&parsing, line, options))
        return false;
    *status = 0;
    return !is_built_in(&parsing);
}
