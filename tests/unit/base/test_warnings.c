#include "base/message.h"
#include "lib/cleanup.h"
#include "lib/hash.h"
#include "lib/json.h"

#include <criterion/criterion.h>
#include <string.h>

Test(warnings, the_same_sentence_is_kept_once)
{
    struct tailslate_warnings warnings = {.count = 0};
    tailslate_warnings_add(&warnings, "cut off at %d s", 10);
    tailslate_warnings_add(&warnings, "no sound");
    tailslate_warnings_add(&warnings, "cut off at %d s", 10);
    cr_assert_eq(warnings.count, 2);
    cr_expect_str_eq(warnings.texts[0], "cut off at 10 s");
    cr_expect_str_eq(warnings.texts[1], "no sound");
}

Test(warnings, are_bounded_and_cut_at_a_character)
{
    struct tailslate_warnings warnings = {.count = 0};
    char text[2 * TAILSLATE_WARNING_BYTES + 1] = "";
    memset(text, 'x', TAILSLATE_WARNING_BYTES - 2);
    strcat(text, "\xc3\xbc\xc3\xbc");
    tailslate_warnings_add(&warnings, "%s", text);
    cr_expect_eq(strlen(warnings.texts[0]), TAILSLATE_WARNING_BYTES - 2);
    for (int i = 0; i < 100; i++)
        tailslate_warnings_add(&warnings, "a\nb %d", i);
    cr_expect_eq(warnings.count, TAILSLATE_WARNINGS_MAX);
    cr_expect_str_eq(warnings.texts[1], "a b 0");
}

static void parse(const char *body, struct tailslate_completion *completion)
{
    struct error err = {.message = ""};
    cr_assert_eq(tailslate_completion_parse(body, strlen(body), 12, completion, err.message),
                 TAILSLATE_PROBLEM_NONE, "%s: %s", body, err.message);
}

/* The work counts; what is said about it is never a reason to refuse it. */
Test(warnings, that_are_none_are_skipped_and_refuse_no_completion)
{
    struct tailslate_completion completion;
    parse("{\"qualities\": [], \"warnings\": 7}", &completion);
    cr_expect_eq(completion.warnings.count, 0);
    parse("{\"qualities\": [], \"warnings\": [1, \"a\", null, {}, \"\", \"b\"]}", &completion);
    cr_expect_eq(completion.warnings.count, 2);
    cr_expect_str_eq(completion.warnings.texts[1], "b");
}

Test(warnings, travel_with_a_completion_and_change_nothing_of_its_content)
{
    struct tailslate_completion said = {.duration = 1, .source_width = 1, .source_height = 1},
                                heard;
    char without[HASH_HEX_BYTES], with[HASH_HEX_BYTES];
    tailslate_completion_fingerprint(&said, without);
    tailslate_warnings_add(&said.warnings, "it is \"cut off\"");
    TEXT(body) = tailslate_completion_format(&said);
    parse(body, &heard);
    cr_assert_eq(heard.warnings.count, 1);
    cr_expect_str_eq(heard.warnings.texts[0], "it is \"cut off\"");
    tailslate_completion_fingerprint(&heard, with);
    cr_expect_str_eq(with, without);
}
