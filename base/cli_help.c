#include "base/cli_help.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- help ------------------------------------------------------------------------------------ */

static int width_of(const struct cli_command *command)
{
    return (int)strlen(command->words) +
           (command->argument ? 1 + (int)strlen(command->argument) : 0) +
           (command->instead ? 3 + (int)strlen(command->instead) : 0);
}

static void print_name(const struct cli_command *command)
{
    printf("%s%s%s%s%s", command->words, command->argument ? " " : "",
           command->argument ? command->argument : "", command->instead ? "|--" : "",
           command->instead ? command->instead : "");
}

static bool is_shown(const struct cli_command *command, const char *group)
{
    return command->summary && (!group[0] || cli_in_group(command, group));
}

static void print_config_option(const struct cli *cli, int width)
{
    printf("  %-*s  configuration file, default %s\n", width, "-c, --config FILE",
           cli->config_path);
}

void cli_print_summary(const struct cli *cli, const char *group)
{
    const struct cli_command *command;
    int width = (int)strlen("-c, --config FILE");
    for (size_t i = 0; (command = cli_at(cli, i)); i++)
        if (is_shown(command, group) && width_of(command) > width)
            width = width_of(command);
    printf("usage: %s [-c FILE] %s%s\n\n", cli->name, group, group[0] ? " COMMAND" : "[COMMAND]");
    for (size_t i = 0; (command = cli_at(cli, i)); i++) {
        if (!is_shown(command, group))
            continue;
        fputs("  ", stdout);
        print_name(command);
        printf("%*s  %s\n", width - width_of(command), "", command->summary);
    }
    putchar('\n');
    print_config_option(cli, width);
    printf("  %-*s  print this help; '%s COMMAND --help' shows a command's options\n", width,
           "-h, --help", cli->name);
    if (!group[0] && cli->closing)
        printf("\n%s\n", cli->closing);
}

static void print_usage(const struct cli *cli, const struct cli_command *command)
{
    printf("usage: %s [-c FILE] ", cli->name);
    print_name(command);
    for (const struct cli_option *option = command->options; option && option->name; option++) {
        if (command->instead && strcmp(option->name, command->instead) == 0)
            continue;
        printf(" %s--%s%s%s%s", option->is_required ? "" : "[", option->name,
               option->value ? " " : "", option->value ? option->value : "",
               option->is_required ? "" : "]");
    }
    putchar('\n');
}

static void print_option(const struct cli_option *option, int width)
{
    int used = printf("  --%s%s%s", option->name, option->value ? " " : "",
                      option->value ? option->value : "");
    printf("%*s  %s\n", width + 2 - used, "", option->help);
}

void cli_print_command(const struct cli *cli, const struct cli_command *command)
{
    int width = (int)strlen("-c, --config FILE");
    print_usage(cli, command);
    if (command->summary)
        printf("\n%c%s.\n", toupper((unsigned char)command->summary[0]), command->summary + 1);
    if (command->details)
        printf("%s\n", command->details);
    putchar('\n');
    for (const struct cli_option *option = command->options; option && option->name; option++)
        print_option(option, width);
    print_config_option(cli, width);
    printf("  %-*s  print this help\n", width, "-h, --help");
}

/* ---- bash completion ------------------------------------------------------------------------- */

/* A bash function that depends only on bash, so that it can also be sourced by hand. */

/* "tailslate-agent" -> "_tailslate_agent" */
static void print_function_name(const struct cli *cli)
{
    putchar('_');
    for (const char *at = cli->name; *at; at++)
        putchar(*at == '-' ? '_' : *at);
}

/* What is expected after an option. If several commands have it, its first line counts. */
static void print_values(const struct cli *cli)
{
    const struct cli_command *command;
    for (size_t i = 0; (command = cli_at(cli, i)); i++)
        for (const struct cli_option *option = command->options; option && option->name; option++)
            if (option->value)
                printf("        --%s) value='%s' ;;\n", option->name, option->value);
}

/* The first words of all commands (group ""), or the second ones of a group. */
static void print_words(const struct cli *cli, const char *group)
{
    const struct cli_command *command;
    const char *last = "";
    size_t skipped = group[0] ? strlen(group) + 1 : 0, last_size = 0;
    printf("        '%s%s') words='", group, group[0] ? " " : "");
    for (size_t i = 0; (command = cli_at(cli, i)); i++) {
        if (!command->summary || (group[0] && !cli_in_group(command, group)))
            continue;
        const char *word = command->words + skipped;
        size_t size = strcspn(word, " ");
        if (size != last_size ||
            memcmp(word, last, size) != 0) /* the commands of a group are adjacent */
            printf("%.*s ", (int)size, word);
        last = word;
        last_size = size;
    }
    puts("' ;;");
}

static void print_options(const struct cli_command *command, const char *pattern)
{
    printf("        '%s '%s words='", command->words, pattern);
    for (const struct cli_option *option = command->options; option && option->name; option++)
        printf("--%s ", option->name);
    puts("' ;;");
}

static void print_commands(const struct cli *cli)
{
    const struct cli_command *command;
    char group[32] = "", last[sizeof group];
    print_words(cli, "");
    for (size_t i = 0; (command = cli_at(cli, i)); i++) {
        memcpy(last, group, sizeof last);
        snprintf(group, sizeof group, "%.*s", (int)strcspn(command->words, " "), command->words);
        if (strcmp(group, last) != 0 && cli_is_group(cli, group))
            print_words(cli, group);
        if (command->argument && strncmp(command->argument, "FILE", 4) == 0)
            print_options(command, command->takes_several ? "*) value=FILE" : ") value=FILE");
        if (command->summary)
            print_options(command, "*)");
    }
}

void cli_print_completion(const struct cli *cli)
{
    printf("# bash completion for %s, printed by `%s completion`\n", cli->name, cli->name);
    print_function_name(cli);
    fputs("()\n"
          "{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} value='' words='' line='' at\n"
          "    for ((at = 1; at < COMP_CWORD; at++)); do\n"
          "        if [ -n \"$value\" ]; then value='' && continue; fi\n"
          "        case ${COMP_WORDS[at]} in\n"
          "        -c | --config) value=FILE ;;\n",
          stdout);
    print_values(cli);
    fputs("        -*) ;;\n"
          "        *) line+=\"${COMP_WORDS[at]} \" ;;\n"
          "        esac\n"
          "    done\n"
          "    if [ -z \"$value\" ]; then\n"
          "        case $line in\n",
          stdout);
    print_commands(cli);
    fputs("        esac\n"
          "        words+='--config --help'\n"
          "    fi\n"
          "    mapfile -t COMPREPLY < <(\n"
          "        compgen -W \"$words\" -- \"$word\"\n"
          "        [ \"$value\" != FILE ] || compgen -f -- \"$word\"\n"
          "    )\n"
          "    [ \"$value\" != FILE ] || compopt -o filenames 2>/dev/null\n"
          "}\n"
          "complete -F ",
          stdout);
    print_function_name(cli);
    printf(" %s\n", cli->name);
}
