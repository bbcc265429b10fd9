/* cli: the command line of a program, parsed by one table of its commands. --help and the bash
 * completion are made from the same table.
 *      tailslate-verifier [-c FILE] job add FILE [--slug SLUG]
 * A command is one or two words and accepts at most one argument and its own options; -c and -h
 * belong to all of them. Options can be anywhere, and long ones can be abbreviated. `help`,
 * `version` and `completion` (prints the bash completion) are built in. */
#ifndef TAILSLATE_CLI_H
#define TAILSLATE_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum { CLI_USAGE = 64 };

struct cli_option {
    const char *name;  /* without dashes; NULL ends the list */
    const char *value; /* the value's name in the help; NULL: a flag */
    size_t offset;     /* of a const char *, or of a flag's bool, in the program's options */
    const char *help;
    bool is_required;
};

struct cli_command {
    const char *words;                /* "job add" */
    const char *argument;             /* the argument's name in the help; NULL: none */
    bool takes_several;               /* the argument may be repeated */
    const char *instead;              /* a flag that can replace the argument, or NULL */
    const struct cli_option *options; /* NULL: none */
    const char *summary;              /* NULL: internal, neither shown nor completed */
    const char *details;              /* for the command's own help, or NULL */
};

/* A program. Its first command is the default. Options of the same name are of the same kind in all
 * commands. */
struct cli {
    const char *name;                                   /* "tailslate-agent" */
    const char *config_path;                            /* where -c is not given */
    const char *closing;                                /* the end of the help, or NULL */
    const struct cli_command *(*command)(size_t index); /* ends with NULL */
};

struct cli_line {
    size_t command;          /* index into the program's commands */
    const char *config_path; /* NULL: none was named */
    const char *argument;    /* NULL if there is none */
    char **arguments;        /* the same and those after it */
    int argument_count;
};

/* True: run line->command with *options. False: nothing is left to do, or a mistake was reported on
 * stderr; exit with *status. */
bool cli_parse(const struct cli *cli, int argc, char **argv, struct cli_line *line, void *options,
               int *status);

#endif
