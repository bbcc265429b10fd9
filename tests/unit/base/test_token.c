#include "lib/uuid.h"

#include "tailslate/token.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#define UUID "0123abcd-4567-4def-89ab-0123456789ab"

Test(token, is_the_job_id_and_the_uuid_in_lower_case)
{
    char token[TAILSLATE_TOKEN_BYTES];
    tailslate_token_make(INT64_MAX, "0123ABCD-4567-4DEF-89AB-0123456789AB", token);
    cr_assert_str_eq(token, "9223372036854775807-" UUID);
}

Test(token, what_was_made_is_parsed_back)
{
    for (int i = 0; i < 100; i++) {
        char uuid[TAILSLATE_UUID_BYTES], token[TAILSLATE_TOKEN_BYTES],
            canonical[TAILSLATE_TOKEN_BYTES];
        int64_t wanted = (int64_t)(random_u64() >> 1) | 1, job_id = 0;
        uuid_make_v4(uuid);
        tailslate_token_make(wanted, uuid, token);
        cr_assert(tailslate_token_parse(token, strlen(token), &job_id, canonical), "%s", token);
        cr_assert_eq(job_id, wanted);
        cr_assert_str_eq(canonical, token);
    }
}

Test(token, a_job_id_below_one_is_a_bug, .signal = SIGABRT)
{
    char token[TAILSLATE_TOKEN_BYTES];
    tailslate_token_make(0, UUID, token);
}

Test(token, another_uuid_than_version_4_is_a_bug, .signal = SIGABRT)
{
    char token[TAILSLATE_TOKEN_BYTES];
    tailslate_token_make(1, "0123abcd-4567-1def-89ab-0123456789ab", token);
}

static const struct {
    const char *text;
    int64_t job_id;
    const char *canonical;
} well_formed[] = {
    {"1-" UUID, 1, "1-" UUID},
    {"42-0123ABCD-4567-4DEF-89AB-0123456789AB", 42, "42-" UUID},
    {"9223372036854775807-" UUID, INT64_MAX, "9223372036854775807-" UUID},
    {"7-00000000-0000-4000-8000-000000000000", 7, "7-00000000-0000-4000-8000-000000000000"},
    {"7-ffffffff-ffff-4fff-Bfff-ffffffffffff", 7, "7-ffffffff-ffff-4fff-bfff-ffffffffffff"},
};

Test(token, well_formed_ones_are_taken_in_either_case)
{
    for (size_t i = 0; i < sizeof well_formed / sizeof well_formed[0]; i++) {
        const char *text = well_formed[i].text;
        char canonical[TAILSLATE_TOKEN_BYTES];
        int64_t job_id = 0;
        cr_expect(tailslate_token_parse(text, strlen(text), &job_id, canonical), "%s", text);
        cr_expect_eq(job_id, well_formed[i].job_id, "%s", text);
        cr_expect_str_eq(canonical, well_formed[i].canonical);
    }
}

static const char *const malformed[] = {
    "",
    "-",
    "1",
    "1-",
    UUID,
    "-" UUID,
    "0-" UUID,
    "01-" UUID,
    "+1-" UUID,
    "-1-" UUID,
    " 1-" UUID,
    "1 -" UUID,
    "1--" UUID,
    "1-" UUID " ",
    "1-" UUID "\n",
    "1-" UUID "0",
    "0x1-" UUID,
    "1e3-" UUID,
    "9223372036854775808-" UUID,
    "18446744073709551617-" UUID,
    "99999999999999999999-" UUID,
    "1-0123abcd-4567-4def-89ab-0123456789a",
    "1-0123abcd-4567-4def-89ab-0123456789ag",
    "1-0123abcd-4567-1def-89ab-0123456789ab", /* version 1 */
    "1-0123abcd-4567-7def-89ab-0123456789ab", /* version 7 */
    "1-0123abcd-4567-4def-79ab-0123456789ab", /* another variant */
    "1-0123abcd-4567-4def-c9ab-0123456789ab",
    "1-0123abcd45674def89ab0123456789ab",
    "1-{123abcd-4567-4def-89ab-0123456789a}",
    "1-0123abcd_4567-4def-89ab-0123456789ab",
    "\xd9\xa1-" UUID, /* a digit, but not one of ours */
};

Test(token, malformed_ones_are_refused_and_nothing_is_written)
{
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        char canonical[TAILSLATE_TOKEN_BYTES] = "untouched";
        int64_t job_id = -7;
        cr_expect_not(tailslate_token_parse(malformed[i], strlen(malformed[i]), &job_id, canonical),
                      "'%s'", malformed[i]);
        cr_expect_str_eq(canonical, "untouched");
    }
}

Test(token, a_nul_inside_is_no_end)
{
    static const char text[] = "1-" UUID "\0x";
    char canonical[TAILSLATE_TOKEN_BYTES];
    int64_t job_id;
    cr_assert_not(tailslate_token_parse(text, sizeof text - 1, &job_id, canonical));
    cr_assert_not(tailslate_token_parse("1\0" UUID, strlen(UUID) + 2, &job_id, canonical));
}

Test(token, a_text_over_the_wire_s_limit_is_refused_whatever_it_holds)
{
    char text[4096], canonical[TAILSLATE_TOKEN_BYTES];
    int64_t job_id;
    memset(text, '1', sizeof text);
    memcpy(text + sizeof text - strlen("-" UUID), "-" UUID, strlen("-" UUID));
    cr_assert_not(tailslate_token_parse(text, sizeof text, &job_id, canonical));
}

Test(token, a_uuid_is_known_by_version_and_variant)
{
    cr_expect(tailslate_token_uuid_is_v4(UUID));
    cr_expect(tailslate_token_uuid_is_v4("0123ABCD-4567-4DEF-89AB-0123456789AB"));
    cr_expect_not(tailslate_token_uuid_is_v4(""));
    cr_expect_not(tailslate_token_uuid_is_v4("0123abcd-4567-3def-89ab-0123456789ab"));
    cr_expect_not(tailslate_token_uuid_is_v4("0123abcd-4567-4def-09ab-0123456789ab"));
    cr_expect_not(tailslate_token_uuid_is_v4(UUID "0"));
}
