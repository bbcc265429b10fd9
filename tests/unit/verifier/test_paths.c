/* Slugs, ranges, names of uploads: what is judged without touching a disk. */
#include "verifier/base/range.h"
#include "verifier/base/segment.h"
#include "verifier/base/slug.h"

#include <criterion/criterion.h>
#include <string.h>

Test(slug, is_made_of_any_name)
{
    static const char *const pairs[][2] = {
        {"My Film", "my-film"},
        {"'\"$ ü and  spaces", "u-and-spaces"},
        {"Ærø Île à côté", "aero-ile-a-cote"},
        {"Straße in Köln", "strasse-in-koln"},
        {"Zażółć gęślą jaźń", "zazolc-gesla-jazn"},
        {"Příliš žluťoučký kůň", "prilis-zlutoucky-kun"},
        {"İstanbul'da ığdır şöyle", "istanbul-da-igdir-soyle"},
        {"Țara și orașul", "tara-si-orasul"},
        {"Tiếng Việt: Đường Ơ", "tieng-viet-duong-o"},
        {"Amélie \xc3\x97 e\xcc\x81te\xcc\x81", "amelie-ete"}, /* precomposed and combining */
        {"Война и мир. Ёж, съезд, щука", "voyna-i-mir-ezh-sezd-shchuka"},
        {"Київ, їжак, Ґанок, Љубав, ћевапи, џеп", "kiyiv-yizhak-ganok-ljubav-cevapi-dzep"},
        {"Οδύσσεια, ΨΥΧΗ, Ϊόνιο", "odysseia-psychi-ionio"},
        {"映画 2024", "2024"},
        {"مرحبا", "video"},
        {"---", "video"},
        {"", "video"},
        {"日本語", "video"},
        {"a.b..c", "a-b-c"},
        {"..", "video"},
        {"\xff\xfe", "video"},
        {"x\xc3", "x"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char slug[SLUG_BYTES];
        slug_from_name(pairs[i][0], slug);
        cr_expect_str_eq(slug, pairs[i][1]);
        cr_expect(slug_is_valid(slug));
    }
}

Test(slug, of_a_very_long_name_is_cut)
{
    char name[1000], slug[SLUG_BYTES];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    slug_from_name(name, slug);
    cr_assert_eq(strlen(slug), SLUG_MAX_LENGTH);
    for (size_t i = 0; i + 1 < sizeof name; i += 2)
        memcpy(name + i, "щ", 2);
    name[998] = '\0';
    slug_from_name(name, slug);
    cr_assert_eq(strlen(slug), SLUG_MAX_LENGTH / strlen("shch") * strlen("shch"));
}

Test(slug, that_could_lead_elsewhere_is_not_valid)
{
    static const char *const bad[] = {"", ".", "..", ".trash", "a/b", "-x", "a b", "a\\b", "ü"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(slug_is_valid(bad[i]), "%s", bad[i]);
}

Test(range, is_read_as_the_standard_says)
{
    static const struct {
        const char *header;
        enum range_kind kind;
        int64_t first, length;
    } cases[] = {
        {NULL, RANGE_WHOLE, 0, 0},
        {"bytes=0-99", RANGE_PART, 0, 100},
        {"bytes=0-", RANGE_PART, 0, 1000},
        {"bytes=999-", RANGE_PART, 999, 1},
        {"bytes=500-99999", RANGE_PART, 500, 500},
        {"bytes=-1", RANGE_PART, 999, 1},
        {"bytes=-5000", RANGE_PART, 0, 1000},
        {"bytes=1000-", RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=5-4", RANGE_WHOLE, 0, 0},
        {"bytes=1-2,4-5", RANGE_WHOLE, 0, 0},
        {"bytes=a-", RANGE_WHOLE, 0, 0},
        {"bytes=-", RANGE_WHOLE, 0, 0},
        {"bytes=", RANGE_WHOLE, 0, 0},
        {"lines=1-2", RANGE_WHOLE, 0, 0},
        {"bytes=99999999999999999999-", RANGE_WHOLE, 0, 0},
        {"bytes=1-2 ", RANGE_WHOLE, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct range range = {0, 0};
        cr_expect_eq(range_parse(cases[i].header, 1000, &range), cases[i].kind, "%s",
                     cases[i].header);
        cr_expect_eq(range.first, cases[i].first, "%s", cases[i].header);
        cr_expect_eq(range.length, cases[i].length, "%s", cases[i].header);
    }
}

Test(range, of_an_empty_file_cannot_be_satisfied)
{
    struct range range;
    cr_expect_eq(range_parse("bytes=0-", 0, &range), RANGE_UNSATISFIABLE);
    cr_expect_eq(range_parse("bytes=-5", 0, &range), RANGE_UNSATISFIABLE);
    cr_expect_eq(range_parse(NULL, 0, &range), RANGE_WHOLE);
}

Test(segment, names_are_single_components_with_one_of_five_endings_or_the_captions)
{
    static const struct {
        const char *name;
        enum segment_kind kind;
    } cases[] = {
        {"seg_0001.m4s", SEGMENT_ISO},
        {"init.mp4", SEGMENT_ISO},
        {"720p_0001.ts", SEGMENT_TS},
        {"stream.m3u8", SEGMENT_TEXT},
        {"captions.vtt", SEGMENT_CAPTIONS},
        {"other.vtt", SEGMENT_REFUSED},
        {"manifest.mpd", SEGMENT_TEXT},
        {"a b.ts", SEGMENT_TS},
        {".ts", SEGMENT_REFUSED},
        {"a", SEGMENT_REFUSED},
        {"", SEGMENT_REFUSED},
        {"a.exe", SEGMENT_REFUSED},
        {"../a.ts", SEGMENT_REFUSED},
        {"a/b.ts", SEGMENT_REFUSED},
        {"a\\b.ts", SEGMENT_REFUSED},
        {"a%2f.ts", SEGMENT_REFUSED},
        {"a..ts", SEGMENT_REFUSED},
        {" a.ts", SEGMENT_REFUSED},
        {"a.ts ", SEGMENT_REFUSED},
        {".tmp-1.ts", SEGMENT_REFUSED},
        {"a\n.ts", SEGMENT_REFUSED},
        {"a\xff.ts", SEGMENT_REFUSED},
        {"a.TS", SEGMENT_REFUSED},
        {"\xc3\xbc.ts", SEGMENT_TS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(segment_kind_of(cases[i].name), cases[i].kind, "%s", cases[i].name);
}

Test(segment, a_name_of_255_bytes_is_taken_and_one_of_256_is_not)
{
    char name[300];
    memset(name, 'a', sizeof name);
    memcpy(name + 252, ".ts", 4);
    cr_expect_eq(segment_kind_of(name), SEGMENT_TS);
    memset(name, 'a', sizeof name);
    memcpy(name + 253, ".ts", 4);
    cr_expect_eq(segment_kind_of(name), SEGMENT_REFUSED);
}

Test(segment, the_first_bytes_must_fit_the_kind)
{
    const unsigned char iso[] = {0, 0, 0, 24, 'm', 'o', 'o', 'f'}, ts[] = {0x47, 0x40};
    cr_expect(segment_head_fits(SEGMENT_ISO, iso, sizeof iso));
    cr_expect_not(segment_head_fits(SEGMENT_ISO, iso, 7));
    cr_expect_not(segment_head_fits(SEGMENT_ISO, ts, sizeof ts));
    cr_expect(segment_head_fits(SEGMENT_TS, ts, sizeof ts));
    cr_expect_not(segment_head_fits(SEGMENT_TS, iso, sizeof iso));
    cr_expect_not(segment_head_fits(SEGMENT_TS, ts, 0));
    const unsigned char captions[] = "\xef\xbb\xbfWEBVTT\n", *bare = captions + 3;
    cr_expect(segment_head_fits(SEGMENT_CAPTIONS, captions, sizeof captions - 1));
    cr_expect(segment_head_fits(SEGMENT_CAPTIONS, bare, 6));
    cr_expect_not(segment_head_fits(SEGMENT_CAPTIONS, bare, 5));
    cr_expect_not(segment_head_fits(SEGMENT_CAPTIONS, iso, sizeof iso));
}

Test(segment, text_is_utf8_without_control_bytes)
{
    cr_expect(segment_is_text("#EXTM3U\r\n\t\xc3\xbc\xf0\x9f\x8e\xac\n", 17));
    cr_expect_not(segment_is_text("a\0b", 3));
    cr_expect_not(segment_is_text("\x1b", 1));
    cr_expect_not(segment_is_text("\xc0\x80", 2));
    cr_expect_not(segment_is_text("\xed\xa0\x80", 3));
    cr_expect_not(segment_is_text("\xc3", 1));
    cr_expect_not(segment_is_text("\xf5\x80\x80\x80", 4));
}

Test(segment, what_lies_flat_is_known_by_its_quality)
{
    cr_expect(segment_is_flat(TAILSLATE_QUALITY_720P, "720p.m3u8"));
    cr_expect(segment_is_flat(TAILSLATE_QUALITY_720P, "720p_0001.ts"));
    cr_expect_not(segment_is_flat(TAILSLATE_QUALITY_720P, "1080p_0001.ts"));
    cr_expect_not(segment_is_flat(TAILSLATE_QUALITY_720P, "720p_0001.m4s"));
    cr_expect_not(segment_is_flat(TAILSLATE_QUALITY_720P, "stream.m3u8"));
}
