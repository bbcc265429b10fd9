/* cli: the command line of a program, read by one table of its commands. The table is also what
 * --help prints and what bash completes.
 *
 *     tailslate-verifier [-c FILE] job add FILE [--slug SLUG]
 *
 * A command is one or two words and takes at most one argument and only its own options; -c and -h
 * belong to all of them. Options may stand anywhere, and long ones may be abbreviated. `help`,
 * `version` and `completion` (prints the bash completion) are built in. */
#ifndef TAILSLATE_CLI_H
#define TAILSLATE_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum { CLI_USAGE = 64 };

struct cli_option {
    const char *name;  /* without its dashes; NULL ends the list */
    const char *value; /* what its value is called in the help; NULL: a flag */
    size_t offset;     /* of a const char *, or of a flag's bool, in the program's options */
    const char *help;
    bool is_required;
};

struct cli_command {
    const char *words;                /* "job add" */
    const char *argument;             /* what it is called in the help; NULL: there is none */
    const char *instead;              /* a flag that may stand in the argument's place, or NULL */
    const struct cli_option *options; /* NULL: none */
    const char *summary;              /* NULL: internal, neither shown nor completed */
    const char *details;              /* for the command's own help, or NULL */
};

/* A program. The first command is the one that runs where none is named. Two commands' options of
 * one name are of one kind. */
struct cli {
    const char *name;                                   /* "tailslate-agent" */
    const char *config_path;                            /* default of -c */
    const char *closing;                                /* the end of the help, or NULL */
    const struct cli_command *(*command)(size_t index); /* NULL behind the last */
};

struct cli_line {
    size_t command; /* index into the program's commands */
    const char *config_path;
    const char *argument; /* NULL where there is none */
};

/* True: run line->command with the options that were written to *options. False: everything is
 * done, a mistake was reported on stderr; exit with *status. */
bool cli_parse(const struct cli *cli, int argc, char **argv, struct cli_line *line, void *options,
               int *status);

#endif
