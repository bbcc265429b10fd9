#include "tailslate/quality.h"

#include <criterion/criterion.h>

static const struct {
    const char *name;
    int short_side, bitrate_kbit;
} ladder[] = {{"2160p", 2160, 15000}, {"1440p", 1440, 8000}, {"1080p", 1080, 5000},
              {"720p", 720, 2500},    {"480p", 480, 1000},   {"360p", 360, 600},
              {"original", 0, 0}};

Test(quality, the_ladder_is_the_seven_rungs_of_the_wire)
{
    cr_assert_eq(sizeof ladder / sizeof ladder[0], TAILSLATE_QUALITY_COUNT);
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        cr_expect_str_eq(tailslate_quality_name(quality), ladder[quality].name);
        cr_expect_eq(tailslate_quality_short_side(quality), ladder[quality].short_side);
        cr_expect_eq(tailslate_quality_bitrate_kbit(quality), ladder[quality].bitrate_kbit);
    }
}

Test(quality, every_name_is_read_back)
{
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        enum tailslate_quality read = TAILSLATE_QUALITY_COUNT;
        cr_assert(tailslate_quality_parse(tailslate_quality_name(quality), &read));
        cr_expect_eq(read, quality);
    }
}

Test(quality, only_exact_names_are_names)
{
    static const char *const others[] = {"",      "720",       "720P",   "0720p", "720p ",
                                         " 720p", "720p/../x", "240p",   "4k",    "Original",
                                         "orig",  "2160",      "1080px", "."};
    enum tailslate_quality quality = TAILSLATE_QUALITY_COUNT;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_not(tailslate_quality_parse(others[i], &quality), "'%s' was taken", others[i]);
    cr_expect_eq(quality, TAILSLATE_QUALITY_COUNT, "a refused name wrote its output");
}
