#include "base/cli_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

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
