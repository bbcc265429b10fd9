#include "base/config.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

struct settings {
    char url[CONFIG_TEXT_BYTES], format[CONFIG_TEXT_BYTES];
    int64_t slots, offset;
    double seconds;
    bool original;
};

static const struct config_key keys[] = {
    {"server", "url", CONFIG_TEXT, offsetof(struct settings, url), "\"http://a \\\"b\\\\c\"", 0, 0,
     NULL, "where the server is"},
    {"node", "slots", CONFIG_INTEGER, offsetof(struct settings, slots), "1", 1, 64, NULL,
     "transcodes at a time"},
    {"node", "offset", CONFIG_INTEGER, offsetof(struct settings, offset), "-5000000000L", -1e15,
     1e15, NULL, "an integer of more than 32 bits"},
    {"node", "seconds", CONFIG_NUMBER, offsetof(struct settings, seconds), "0.1", 0, 1e6, NULL,
     "a pause (seconds); this help is long enough that it has to be broken into several lines, "
     "because nobody reads a line of two hundred columns in an editor"},
    {"node", "original", CONFIG_BOOL, offsetof(struct settings, original), "true", 0, 0, NULL,
     "keep it"},
    {"log", "format", CONFIG_TEXT, offsetof(struct settings, format), "\"text\"", 0, 0, "text|json",
     "of a line"},
};
enum { KEYS = sizeof keys / sizeof keys[0] };

static int load(const struct scratch *scratch, struct settings *settings, struct error *err)
{
    cr_assert_eq(fchdir(scratch->fd), 0);
    return config_load(keys, KEYS, "a.cfg", settings, err);
}

/* The message for this file; "" where it is accepted. Static: one at a time. */
static const char *message_of(const char *content)
{
    static struct error err;
    SCRATCH(scratch);
    struct settings settings;
    scratch_put_text(&scratch, "a.cfg", content);
    err = (struct error){0};
    return load(&scratch, &settings, &err) == 0 ? "" : err.message;
}

Test(config, defaults_stand_without_a_file)
{
    struct settings settings;
    struct error err = {0};
    cr_assert_eq(config_load(keys, KEYS, NULL, &settings, &err), 0, "%s", err.message);
    cr_expect_str_eq(settings.url, "http://a \"b\\c");
    cr_expect_eq(settings.slots, 1);
    cr_expect_eq(settings.offset, -5000000000);
    cr_expect(settings.seconds >= 0.1 && settings.seconds <= 0.1);
    cr_expect(settings.original);
    cr_expect_str_eq(settings.format, "text");
}

Test(config, the_file_wins_over_the_defaults_and_the_environment_over_the_file)
{
    SCRATCH(scratch);
    struct settings settings;
    struct error err = {0};
    scratch_put_text(&scratch, "a.cfg",
                     "# comment\n"
                     "server: { url = \"https://file\"; };\n"
                     "node = { slots: 7, seconds = 30; original = false }\n");
    setenv("TAILSLATE_NODE_SLOTS", "8", 1);
    setenv("TAILSLATE_LOG_FORMAT", "json", 1);
    cr_assert_eq(load(&scratch, &settings, &err), 0, "%s", err.message);
    cr_expect_str_eq(settings.url, "https://file");
    cr_expect_eq(settings.slots, 8);
    cr_expect_float_eq(settings.seconds, 30, 0, "an integer is a number");
    cr_expect_not(settings.original);
    cr_expect_str_eq(settings.format, "json");
}

static const struct {
    const char *content, *message;
} wrong_files[] = {
    {"server: { urll = \"x\"; };", "a.cfg:1: server.urll: unknown key (did you mean server.url?)"},
    {"\n\nnode: {\n  slots = \"two\";\n};",
     "a.cfg:4: node.slots: expected an integer from 1 to 64, found \"two\""},
    {"node: { slots = 0; };", "a.cfg:1: node.slots: expected an integer from 1 to 64, found 0"},
    {"node: { slots = 65; };", "a.cfg:1: node.slots: expected an integer from 1 to 64, found 65"},
    {"node: { slots = 1.0; };", "a.cfg:1: node.slots: expected an integer from 1 to 64, found 1.0"},
    {"node: { slots = 0x10; };",
     "a.cfg:1: node.slots: expected an integer from 1 to 64, found a hexadecimal number"},
    {"node: { slots = [1, 2]; };",
     "a.cfg:1: node.slots: expected an integer from 1 to 64, found an array"},
    {"node: { slots = (1); };",
     "a.cfg:1: node.slots: expected an integer from 1 to 64, found a list"},
    {"node: { slots = { a = 1; }; };",
     "a.cfg:1: node.slots: expected an integer from 1 to 64, found a group"},
    {"node: { slots = 4294967297; };",
     "a.cfg:1: 4294967297 is too large for an integer without a trailing L"},
    {"node: { slots = 18446744073709551617L; };", "a.cfg:1: 18446744073709551617L is too large"},
    {"node: { seconds = 1e999; };",
     "a.cfg:1: node.seconds: expected a number from 0 to 1000000, found inf"},
    {"node: { seconds = -0.5; };",
     "a.cfg:1: node.seconds: expected a number from 0 to 1000000, found -0.5"},
    {"node: { original = 1; };", "a.cfg:1: node.original: expected true or false, found 1"},
    {"log: { format = \"xml\"; };",
     "a.cfg:1: log.format: expected one of text|json, found \"xml\""},
    {"log: { format = \"tex\"; };",
     "a.cfg:1: log.format: expected one of text|json, found \"tex\""},
    {"log: { format = \"text|json\"; };",
     "a.cfg:1: log.format: expected one of text|json, found \"text|json\""},
    {"log: { format = true; };", "a.cfg:1: log.format: expected one of text|json, found true"},
    {"log: { url = \"x\"; };", "a.cfg:1: log.url: unknown key (did you mean server.url?)"},
    {"log: { colour_of_the_night = 1; };", "a.cfg:1: log.colour_of_the_night: unknown key"},
    {"nod: { slots = 1; };", "a.cfg:1: nod: unknown group (did you mean node?)"},
    {"telemetry: { };", "a.cfg:1: telemetry: unknown group"},
    {"slots = 1;", "a.cfg:1: slots: unknown key outside a group"},
    {"node = 5;", "a.cfg:1: node: expected a group in braces, found 5"},
    {"node = ( 5 );", "a.cfg:1: node: expected a group in braces, found a list"},
    {"node: { slots = 1; slots = 2; };", "a.cfg:1: duplicate setting name"},
    {"node: { };\nnode: { };", "a.cfg:2: duplicate setting name"},
    {"node: {\n", "a.cfg:2: syntax error"},
    {"@include \"/etc/passwd\"\n", "a.cfg:1: @include is not accepted"},
    {"\n  @include \"a.cfg\"\n", "a.cfg:2: @include is not accepted"},
    {"server: { url = \"a\\x00b\"; };", "a.cfg:1: \\x00 in a string"},
    {"server: { url = \"a\\nb\"; };",
     "a.cfg:1: server.url: expected a string of at most 1023 bytes without control characters, "
     "found \"a b\""},
};

Test(config, what_is_wrong_in_a_file_is_said_with_its_line)
{
    for (size_t i = 0; i < sizeof wrong_files / sizeof wrong_files[0]; i++)
        cr_expect_str_eq(message_of(wrong_files[i].content), wrong_files[i].message);
}

static const char *const right_files[] = {
    "",
    "// 99999999999\n# 99999999999\n/* 99999999999\n@include \"x\"\n */",
    "server: { url = \"99999999999 \\\" 99999999999 // @include\"; };",
    "node: { offset = 99999999999L; seconds = 99999.9e1; };",
    "node: { offset = -99999999999LL; seconds = .5 };",
    "node: { slots = 0000000000000000000000007; };",
    "log: { };",
};

Test(config, what_only_looks_wrong_is_accepted)
{
    for (size_t i = 0; i < sizeof right_files / sizeof right_files[0]; i++)
        cr_expect_str_eq(message_of(right_files[i]), "");
}

Test(config, a_text_fills_its_buffer_and_no_more)
{
    char longest[CONFIG_TEXT_BYTES];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    TEXT(fits) = must_printf("server: { url = \"%s\"; };", longest);
    TEXT(over) = must_printf("server: { url = \"%sx\"; };", longest);
    cr_expect_str_eq(message_of(fits), "");
    cr_expect(
        strstr(message_of(over), "a.cfg:1: server.url: expected a string of at most 1023 bytes"));
}

Test(config, nothing_is_written_unless_all_is_well)
{
    SCRATCH(scratch);
    struct settings settings, untouched;
    struct error err;
    memset(&settings, 0x5a, sizeof settings);
    memset(&untouched, 0x5a, sizeof untouched);
    scratch_put_text(&scratch, "a.cfg", "server: { url = \"x\"; };\nlog: { format = \"xml\"; };");
    cr_assert_eq(load(&scratch, &settings, &err), -1);
    cr_expect_eq(err.class, ERROR_PERMANENT);
    cr_expect_eq(memcmp(&settings, &untouched, sizeof settings), 0);
}

static const struct {
    const char *variable, *value, *message;
} wrong_variables[] = {
    {"TAILSLATE_NODE_SLOTS", "two",
     "TAILSLATE_NODE_SLOTS: expected an integer from 1 to 64, found \"two\""},
    {"TAILSLATE_NODE_SLOTS", "",
     "TAILSLATE_NODE_SLOTS: expected an integer from 1 to 64, found \"\""},
    {"TAILSLATE_NODE_SLOTS", " 1",
     "TAILSLATE_NODE_SLOTS: expected an integer from 1 to 64, found \" 1\""},
    {"TAILSLATE_NODE_SLOTS", "18446744073709551617",
     "TAILSLATE_NODE_SLOTS: expected an integer from 1 to 64, found \"18446744073709551617\""},
    {"TAILSLATE_NODE_SLOTS", "4294967297",
     "TAILSLATE_NODE_SLOTS: expected an integer from 1 to 64, found \"4294967297\""},
    {"TAILSLATE_NODE_SECONDS", "nan",
     "TAILSLATE_NODE_SECONDS: expected a number from 0 to 1000000, found \"nan\""},
    {"TAILSLATE_NODE_SECONDS", "inf",
     "TAILSLATE_NODE_SECONDS: expected a number from 0 to 1000000, found \"inf\""},
    {"TAILSLATE_NODE_SECONDS", "1e999",
     "TAILSLATE_NODE_SECONDS: expected a number from 0 to 1000000, found \"1e999\""},
    {"TAILSLATE_NODE_SECONDS", "1s",
     "TAILSLATE_NODE_SECONDS: expected a number from 0 to 1000000, found \"1s\""},
    {"TAILSLATE_NODE_ORIGINAL", "yes",
     "TAILSLATE_NODE_ORIGINAL: expected true or false, found \"yes\""},
    {"TAILSLATE_NODE_SLOT", "1",
     "TAILSLATE_NODE_SLOT: unknown key (did you mean TAILSLATE_NODE_SLOTS?)"},
    {"TAILSLATE_NODE_", "1", "TAILSLATE_NODE_: unknown key"},
};

Test(config, what_is_wrong_in_the_environment_is_said_with_the_variable)
{
    for (size_t i = 0; i < sizeof wrong_variables / sizeof wrong_variables[0]; i++) {
        struct settings settings;
        struct error err = {0};
        setenv(wrong_variables[i].variable, wrong_variables[i].value, 1);
        cr_expect_eq(config_load(keys, KEYS, NULL, &settings, &err), -1);
        cr_expect_str_eq(err.message, wrong_variables[i].message);
        unsetenv(wrong_variables[i].variable);
    }
}

/* The verifier's variables on a machine that runs both are no mistake of the agent's. */
Test(config, variables_of_no_group_of_ours_are_left_alone)
{
    struct settings settings;
    struct error err = {0};
    setenv("TAILSLATE_STORE_URL", "sqlite:x", 1);
    setenv("TAILSLATE_CRASH", "3:/flag", 1);
    setenv("TAILSLATE_NODE", "1", 1);
    setenv("NODE_SLOTS", "0", 1);
    cr_assert_eq(config_load(keys, KEYS, NULL, &settings, &err), 0, "%s", err.message);
}

Test(config, a_file_that_cannot_be_one_is_refused)
{
    SCRATCH(scratch);
    struct settings settings;
    struct error err = {0};
    cr_expect_eq(load(&scratch, &settings, &err), -1);
    cr_expect_eq(err.code, ENOENT);
    cr_expect_str_eq(err.message, "cannot open a.cfg: No such file or directory");

    TEXT(blanks) = must_malloc(CONFIG_FILE_MAX_BYTES + 1);
    memset(blanks, ' ', CONFIG_FILE_MAX_BYTES + 1);
    scratch_put(&scratch, "a.cfg", blanks, CONFIG_FILE_MAX_BYTES, 0600);
    cr_expect_eq(load(&scratch, &settings, &err), 0, "%s", err.message);
    scratch_put(&scratch, "a.cfg", blanks, CONFIG_FILE_MAX_BYTES + 1, 0600);
    cr_expect_eq(load(&scratch, &settings, &err), -1);
    cr_expect_str_eq(err.message, "a.cfg: larger than 65536 bytes");

    scratch_put(&scratch, "a.cfg", "log: { };\0node: { x = 1; };", 27, 0600);
    cr_expect_eq(load(&scratch, &settings, &err), -1);
    cr_expect_str_eq(err.message, "a.cfg: contains a NUL byte");

    cr_expect_eq(config_load(keys, KEYS, scratch.path, &settings, &err), -1);
    cr_assert_eq(mkfifoat(scratch.fd, "fifo", 0600), 0);
    cr_expect_eq(config_load(keys, KEYS, "fifo", &settings, &err), -1, "and nobody waits");
    cr_expect_str_eq(err.message, "fifo: not a regular file");
}

Test(config, nesting_without_end_is_an_error_and_no_crash)
{
    TEXT(deep) = must_calloc(1, CONFIG_FILE_MAX_BYTES);
    memset(deep, '(', CONFIG_FILE_MAX_BYTES - 1);
    memcpy(deep, "node = ", 7);
    cr_assert_neq(message_of(deep)[0], '\0');
}

static char *printed_sample(const char *header)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    config_print_sample(keys, KEYS, header, out);
    fclose(out);
    return text;
}

static char *printed(const struct settings *settings)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    config_print(keys, KEYS, settings, out);
    fclose(out);
    return text;
}

/* By value: padding and what is behind a text's end do not count. */
static bool are_same(const struct settings *left, const struct settings *right)
{
    return strcmp(left->url, right->url) == 0 && strcmp(left->format, right->format) == 0 &&
           left->slots == right->slots && left->offset == right->offset &&
           memcmp(&left->seconds, &right->seconds, sizeof left->seconds) == 0 &&
           left->original == right->original;
}

Test(config, the_sample_is_the_defaults)
{
    SCRATCH(scratch);
    struct settings defaults, loaded;
    struct error err = {0};
    TEXT(sample) = printed_sample("Head.\n\nSecond paragraph.");
    scratch_put_text(&scratch, "a.cfg", sample);
    cr_assert_eq(config_load(keys, KEYS, NULL, &defaults, &err), 0);
    cr_assert_eq(load(&scratch, &loaded, &err), 0, "%s", err.message);
    cr_expect(are_same(&defaults, &loaded));
    for (size_t i = 0; i < KEYS; i++)
        cr_expect(strstr(sample, keys[i].name) && strstr(sample, keys[i].fallback), "%s",
                  keys[i].name);
}

Test(config, the_sample_can_be_read_by_people)
{
    TEXT(sample) = printed_sample("Head.\n\nSecond paragraph.");
    cr_expect_eq(strncmp(sample, "// Head.\n//\n// Second paragraph.\n\nserver:\n{\n", 44), 0, "%s",
                 sample);
    cr_expect(strstr(sample, "    // transcodes at a time; an integer from 1 to 64\n"
                             "    slots = 1;\n"));
    cr_expect(strstr(sample, "    // of a line; one of text|json\n    format = \"text\";\n};\n"));
    for (const char *line = sample; *line; line += strcspn(line, "\n") + 1)
        cr_expect_leq(strcspn(line, "\n"), 100, "%s", line);
}

Test(config, the_effective_values_can_be_loaded_again)
{
    SCRATCH(scratch);
    struct settings settings = {.url = "q\"\\\xc3\xbc z",
                                .format = "json",
                                .slots = 64,
                                .offset = -2147483648LL,
                                .seconds = 1.0 / 3,
                                .original = false};
    struct settings loaded;
    struct error err = {0};
    TEXT(text) = printed(&settings);
    scratch_put_text(&scratch, "a.cfg", text);
    cr_assert_eq(load(&scratch, &loaded, &err), 0, "%s in %s", err.message, text);
    cr_expect(are_same(&settings, &loaded), "%s", text);
}

Test(config, a_default_outside_of_its_own_range_is_a_bug_that_names_it)
{
    static const struct config_key broken = {"node", "slots", CONFIG_INTEGER, 0, "65",
                                             1,      64,      NULL,           ""};
    int64_t slots;
    struct error err;
    cr_assert_eq(config_load(&broken, 1, NULL, &slots, &err), -1);
    cr_expect_eq(err.class, ERROR_BUG);
    cr_expect(strstr(err.message, "node.slots"), "%s", err.message);
}
