#include "base/cli.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 12, LINE_BYTES = 256 };

struct options {
    const char *title, *depth;
    bool json, all, force;
};

#define AT(member) offsetof(struct options, member)
#define JSON_FLAG                                                                                  \
    {                                                                                              \
        .name = "json", .offset = AT(json), .help = "print JSON"                                   \
    }

static const struct cli_option of_add[] = {
    {.name = "title", .value = "TITLE", .offset = AT(title), .help = "its title"}, {.name = NULL}};
static const struct cli_option of_list[] = {
    JSON_FLAG,
    {.name = "depth", .value = "N", .offset = AT(depth), .help = "how deep"},
    {.name = NULL}};
static const struct cli_option of_retry[] = {
    {.name = "all", .offset = AT(all), .help = "all of them"}, {.name = NULL}};
static const struct cli_option of_erase[] = {
    {.name = "force", .offset = AT(force), .help = "really", .is_required = true}, {.name = NULL}};

static const struct cli_command commands[] = {
    {.words = "run", .summary = "work (the default)"},
    {.words = "tape add", .argument = "FILE", .options = of_add, .summary = "add a tape"},
    {.words = "tape list", .options = of_list, .summary = "list the tapes"},
    {.words = "tape retry",
     .argument = "ID",
     .instead = "all",
     .options = of_retry,
     .summary = "retry a tape"},
    {.words = "erase", .options = of_erase, .summary = "erase everything", .details = "Gone."},
    {.words = "inside", .argument = "RECORD"},
};

static const struct cli_command *command_at(size_t index)
{
    return index < sizeof commands / sizeof commands[0] ? &commands[index] : NULL;
}

static const struct cli cli = {
    .name = "deck", .config_path = "/etc/deck.cfg", .closing = "The end.", .command = command_at};

struct parsed {
    bool runs;
    int status;
    struct cli_line line;
    struct options options;
};

/* text: the arguments, separated by single spaces. The result points into static memory. */
static struct parsed parse(const char *text)
{
    static char copy[LINE_BYTES];
    static char *argv[WORDS_MAX + 2];
    struct parsed parsed = {.options = {.depth = "1"}};
    char program[] = "deck";
    int argc = 1;
    argv[0] = program;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *at = copy; at && *at;) {
        cr_assert(argc <= WORDS_MAX);
        argv[argc++] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    argv[argc] = NULL;
    parsed.runs = cli_parse(&cli, argc, argv, &parsed.line, &parsed.options, &parsed.status);
    return parsed;
}

static void expect_run(const char *text, const char *words, const char *argument)
{
    struct parsed parsed = parse(text);
    cr_expect(parsed.runs && parsed.status == 0, "'%s' is refused", text);
    if (!parsed.runs)
        return;
    cr_expect_str_eq(commands[parsed.line.command].words, words, "'%s'", text);
    cr_expect_str_eq(parsed.line.argument ? parsed.line.argument : "-", argument, "'%s'", text);
}

Test(cli, the_words_choose_the_command_and_its_argument)
{
    expect_run("", "run", "-");
    expect_run("run", "run", "-");
    expect_run("tape add film.mp4", "tape add", "film.mp4");
    expect_run("tape add -- --film", "tape add", "--film");
    expect_run("inside 7.1", "inside", "7.1");
    cr_expect_null(parse("run").line.config_path);
}

Test(cli, options_stand_before_between_and_behind_the_words)
{
    static const char *const lines[] = {
        "--title T tape add f -c x", "tape --config=x --title=T add f", "-cx tape add f --title T",
        "tape add f --tit T --conf x", /* abbreviated */
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct parsed parsed = parse(lines[i]);
        cr_assert(parsed.runs, "%s", lines[i]);
        cr_expect_str_eq(parsed.options.title, "T", "%s", lines[i]);
        cr_expect_str_eq(parsed.line.config_path, "x", "%s", lines[i]);
        cr_expect_str_eq(parsed.line.argument, "f", "%s", lines[i]);
        cr_expect_not(parsed.options.json, "%s", lines[i]);
    }
}

Test(cli, what_is_not_given_keeps_its_default)
{
    cr_expect_str_eq(parse("tape list").options.depth, "1");
    cr_expect_str_eq(parse("tape list --depth 2 --depth 3").options.depth, "3");
    cr_expect(parse("tape list --json").options.json);
}

Test(cli, a_flag_may_stand_in_the_arguments_place)
{
    expect_run("tape retry 7.1", "tape retry", "7.1");
    expect_run("tape retry --all", "tape retry", "-");
    cr_expect(parse("tape retry --all").options.all);
}

static const struct {
    const char *line, *error;
} wrong[] = {
    {"dance", "deck: unknown command 'dance'\nTry 'deck --help'.\n"},
    {"tape", "deck: tape: missing command\nTry 'deck tape --help'.\n"},
    {"tape dance", "deck: tape: unknown command 'dance'\nTry 'deck tape --help'.\n"},
    {"tape lis", "deck: tape: unknown command 'lis'\nTry 'deck tape --help'.\n"},
    {"add", "deck: unknown command 'add'\nTry 'deck --help'.\n"},
    {"help dance", "deck: unknown command 'dance'\nTry 'deck --help'.\n"},
    {"tape add", "deck: tape add: missing FILE\nTry 'deck tape add --help'.\n"},
    {"tape add a b", "deck: tape add: unexpected argument 'b'\nTry 'deck tape add --help'.\n"},
    {"run a", "deck: run: unexpected argument 'a'\nTry 'deck run --help'.\n"},
    {"tape retry", "deck: tape retry: missing ID or --all\nTry 'deck tape retry --help'.\n"},
    {"tape retry --all 7.1",
     "deck: tape retry: unexpected argument '7.1'\nTry 'deck tape retry --help'.\n"},
    {"erase", "deck: erase: missing --force\nTry 'deck erase --help'.\n"},
    /* options: of nobody, of another command, of the default command, in a bundle */
    {"--dance", "deck: unknown option '--dance'\nTry 'deck --help'.\n"},
    {"tape --dance=1 list",
     "deck: tape list: unknown option '--dance=1'\nTry 'deck tape list --help'.\n"},
    {"tape add f --json", "deck: tape add: unknown option '--json'\nTry 'deck tape add --help'.\n"},
    {"--json tape add f", "deck: tape add: unknown option '--json'\nTry 'deck tape add --help'.\n"},
    {"--json", "deck: unknown option '--json'\nTry 'deck --help'.\n"},
    {"version --json", "deck: version: unknown option '--json'\nTry 'deck version --help'.\n"},
    {"-hx", "deck: unknown option '-x'\nTry 'deck --help'.\n"},
    {"tape add f --title",
     "deck: tape add: option '--title' needs a value\nTry 'deck tape add --help'.\n"},
    {"tape list -c", "deck: tape list: option '-c' needs a value\nTry 'deck tape list --help'.\n"},
    {"tape list --json=1",
     "deck: tape list: option '--json' takes no value\nTry 'deck tape list --help'.\n"},
};

Test(cli, what_is_wrong_is_one_line_and_where_to_read_on, .timeout = 30)
{
    cr_redirect_stderr();
    FILE *errors = cr_get_redirected_stderr();
    char said[sizeof wrong / sizeof wrong[0]][LINE_BYTES] = {""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct parsed parsed = parse(wrong[i].line);
        cr_expect(!parsed.runs && parsed.status == CLI_USAGE, "'%s' is taken", wrong[i].line);
        fflush(stderr);
        size_t used = 0;
        for (int lines = 0; lines < 2; lines += said[i][used++] == '\n')
            said[i][used] = (char)fgetc(errors);
        cr_expect_str_eq(said[i], wrong[i].error, "'%s'", wrong[i].line);
    }
}

static void expect_printed(const char *text, const char *printed)
{
    cr_redirect_stdout();
    struct parsed parsed = parse(text);
    cr_expect(!parsed.runs && parsed.status == 0, "'%s'", text);
    fflush(stdout);
    cr_expect_stdout_eq_str(printed);
}

Test(cli, the_help_lists_what_is_meant_for_people)
{
    expect_printed("--help", "usage: deck [-c FILE] [COMMAND]\n"
                             "\n"
                             "  run                  work (the default)\n"
                             "  tape add FILE        add a tape\n"
                             "  tape list            list the tapes\n"
                             "  tape retry ID|--all  retry a tape\n"
                             "  erase                erase everything\n"
                             "  version              print the version\n"
                             "\n"
                             "  -c, --config FILE    configuration file, default /etc/deck.cfg\n"
                             "  -h, --help           print this help; 'deck COMMAND --help' shows "
                             "a command's options\n"
                             "\n"
                             "The end.\n");
}

static const char help_of_list[] =
    "usage: deck [-c FILE] tape list [--json] [--depth N]\n"
    "\n"
    "List the tapes.\n"
    "\n"
    "  --json             print JSON\n"
    "  --depth N          how deep\n"
    "  -c, --config FILE  configuration file, default /etc/deck.cfg\n"
    "  -h, --help         print this help\n";

Test(cli, each_command_has_a_help_of_its_own)
{
    expect_printed("tape list --help", help_of_list);
}

Test(cli, help_may_stand_before_the_command)
{
    expect_printed("help tape list", help_of_list);
}

Test(cli, the_help_of_a_command_asks_for_nothing_that_the_command_needs)
{
    expect_printed("-h erase", "usage: deck [-c FILE] erase --force\n"
                               "\n"
                               "Erase everything.\n"
                               "Gone.\n"
                               "\n"
                               "  --force            really\n"
                               "  -c, --config FILE  configuration file, default /etc/deck.cfg\n"
                               "  -h, --help         print this help\n");
}

Test(cli, the_help_of_a_first_word_lists_its_commands)
{
    expect_printed("tape --help",
                   "usage: deck [-c FILE] tape COMMAND\n"
                   "\n"
                   "  tape add FILE        add a tape\n"
                   "  tape list            list the tapes\n"
                   "  tape retry ID|--all  retry a tape\n"
                   "\n"
                   "  -c, --config FILE    configuration file, default /etc/deck.cfg\n"
                   "  -h, --help           print this help; 'deck COMMAND --help' shows a "
                   "command's options\n");
}

Test(cli, version_is_the_programs)
{
    expect_printed("version", "deck " TAILSLATE_VERSION "\n");
}
