#include "base/message.h"
#include "lib/cleanup.h"
#include "lib/hash.h"
#include "lib/json.h"

#include <criterion/criterion.h>
#include <string.h>

Test(warnings, the_same_sentence_is_kept_once)
{
    struct warnings warnings = {.count = 0};
    warnings_add(&warnings, "cut off at %d s", 10);
    warnings_add(&warnings, "no sound");
    warnings_add(&warnings, "cut off at %d s", 10);
    cr_assert_eq(warnings.count, 2);
    cr_expect_str_eq(warnings.texts[0], "cut off at 10 s");
    cr_expect_str_eq(warnings.texts[1], "no sound");
}

Test(warnings, are_bounded_and_cut_at_a_character)
{
    struct warnings warnings = {.count = 0};
    char text[2 * WARNING_BYTES + 1] = "";
    memset(text, 'x', WARNING_BYTES - 2);
    strcat(text, "\xc3\xbc\xc3\xbc");
    warnings_add(&warnings, "%s", text);
    cr_expect_eq(strlen(warnings.texts[0]), WARNING_BYTES - 2);
    for (int i = 0; i < 100; i++)
        warnings_add(&warnings, "a\nb %d", i);
    cr_expect_eq(warnings.count, WARNINGS_MAX);
    cr_expect_str_eq(warnings.texts[1], "a b 0");
}

static void parse(const char *body, struct message_completion *completion)
{
    struct error err = {.message = ""};
    cr_assert_eq(message_completion_parse(body, strlen(body), 12, completion, err.message),
                 PROBLEM_NONE, "%s: %s", body, err.message);
}

/* The work counts; what is said about it is never a reason to refuse it. */
Test(warnings, that_are_none_are_skipped_and_refuse_no_completion)
{
    struct message_completion completion;
    parse("{\"qualities\": [], \"warnings\": 7}", &completion);
    cr_expect_eq(completion.warnings.count, 0);
    parse("{\"qualities\": [], \"warnings\": [1, \"a\", null, {}, \"\", \"b\"]}", &completion);
    cr_expect_eq(completion.warnings.count, 2);
    cr_expect_str_eq(completion.warnings.texts[1], "b");
}

Test(warnings, travel_with_a_completion_and_change_nothing_of_its_content)
{
    struct message_completion said = {.duration = 1, .source_width = 1, .source_height = 1}, heard;
    char without[HASH_HEX_BYTES], with[HASH_HEX_BYTES];
    message_completion_fingerprint(&said, without);
    warnings_add(&said.warnings, "it is \"cut off\"");
    TEXT(body) = message_completion_format(&said);
    parse(body, &heard);
    cr_assert_eq(heard.warnings.count, 1);
    cr_expect_str_eq(heard.warnings.texts[0], "it is \"cut off\"");
    message_completion_fingerprint(&heard, with);
    cr_expect_str_eq(with, without);
}
