#include "base/playlist.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HEAD "#EXTM3U\n#EXT-X-VERSION:7\n"
#define MAP  "#EXT-X-MAP:URI=\"init.mp4\"\n"
#define TWO  "#EXTINF:6.000000,\nseg_0000.m4s\n#EXTINF:2.5,\nseg_0001.m4s\n"
#define END  "#EXT-X-ENDLIST\n"

Test(playlist, a_rendition_is_read)
{
    struct playlist list;
    struct error err;
    cr_assert_eq(playlist_parse(HEAD MAP TWO END, strlen(HEAD MAP TWO END), &list, &err), 0);
    cr_expect_eq(list.count, 2);
    cr_expect_str_eq(list.init, "init.mp4");
    cr_expect_str_eq(list.segments[1].name, "seg_0001.m4s");
    cr_expect_eq(list.segments[1].duration_us, 2500000);
    cr_expect_eq(list.total_us, 8500000);
    cr_expect(list.ended);
    cr_expect(list.numbered);
    playlist_fini(&list);
}

Test(playlist, what_is_there_and_what_is_not_is_told)
{
    static const struct {
        const char *text;
        size_t count;
        bool ended, numbered, has_init;
    } cases[] = {
        {HEAD MAP TWO, 2, false, true, true},
        {HEAD TWO END, 2, true, true, false},
        {HEAD MAP END, 0, true, true, true},
        {HEAD "#EXTINF:1,\r\nseg_0000.m4s\r\n" END, 1, true, true, false},
        {HEAD "#EXTINF:1,\nseg_0001.m4s\n" END, 1, true, false, false},
        {HEAD "#EXTINF:1,\na.m4s\n" END, 1, true, false, false},
        {HEAD "#EXTINF:1,\nseg_0000.m4s", 1, false, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct playlist list;
        struct error err;
        cr_assert_eq(playlist_parse(cases[i].text, strlen(cases[i].text), &list, &err), 0,
                     "case %zu: %s", i, err.message);
        cr_expect_eq(list.count, cases[i].count, "case %zu", i);
        cr_expect_eq(list.ended, cases[i].ended, "case %zu", i);
        cr_expect_eq(list.numbered, cases[i].numbered, "case %zu", i);
        cr_expect_eq(list.init != NULL, cases[i].has_init, "case %zu", i);
        playlist_fini(&list);
    }
}

Test(playlist, what_leaves_the_directory_or_is_no_rendition_is_refused)
{
    static const char *const cases[] = {
        "",
        "<html>",
        HEAD "#EXTINF:1,\n../seg_0000.m4s\n",
        HEAD "#EXTINF:1,\n/etc/passwd\n",
        HEAD "#EXTINF:1,\nhttp://x/seg.m4s\n",
        HEAD "#EXTINF:1,\n.hidden.m4s\n",
        HEAD "#EXTINF:1,\na%2fb.m4s\n",
        HEAD "#EXTINF:x,\nseg_0000.m4s\n",
        HEAD "#EXTINF:-1,\nseg_0000.m4s\n",
        HEAD "#EXTINF:nan,\nseg_0000.m4s\n",
        HEAD "#EXT-X-MAP:URI=\"init.mp4\n",
        HEAD "#EXT-X-MAP:BYTERANGE=\"1\"\n",
        HEAD "#EXT-X-MAP:URI=\"../init.mp4\"\n",
        HEAD MAP MAP,
        /* A player takes the attribute that is called URI, and cuts a name at "#" and "?". */
        HEAD "#EXT-X-MAP:X-URI=\"init.mp4\",URI=\"http://x/init.mp4\"\n",
        HEAD "#EXT-X-MAP:X=\"URI=\",URI=\"//x/init.mp4\"\n",
        HEAD "#EXT-X-MAP:URI=\"init.mp4\",URI=\"http://x/init.mp4\"\n",
        HEAD "#EXT-X-MAP:URI=init.mp4\n",
        HEAD "#EXT-X-MAP:URI=\"init.mp4\"URI=\"http://x/\"\n",
        HEAD "#EXT-X-MAP:URI=\"init.mp4#t=1\"\n",
        HEAD "#EXTINF:1,\nseg_0000.m4s#t=1\n",
        HEAD "#EXTINF:1,\na#.m4s\n",
        HEAD "#EXTINF:1,\nseg_0000.m4s?a=b\n",
        HEAD "#EXTINF:1,\n..%2fseg.m4s\n",
        HEAD "#EXTINF:1,\n//x/seg.m4s\n",
        HEAD "#EXTINF:1,\nfile:seg.m4s\n",
        HEAD "#EXTINF:1,\n\\\\x\\seg.m4s\n",
        HEAD "#EXTINF:1,\n seg_0000.m4s\n",
        HEAD " #EXT-X-KEY:METHOD=AES-128\n" TWO,
        HEAD "#a comment\rhttp://x/seg.m4s\n" TWO,
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct playlist list;
        struct error err;
        cr_expect_eq(playlist_parse(cases[i], strlen(cases[i]), &list, &err), -1, "case %zu", i);
    }
}

Test(playlist, what_is_not_of_our_making_is_told)
{
    static const struct {
        const char *text;
        bool foreign;
    } cases[] = {
        {HEAD MAP TWO END, false},
        {HEAD "#EXT-X-KEY:METHOD=AES-128\n" TWO, true},
        {HEAD "#EXTINF:1,\n#EXT-X-BYTERANGE:5@0\na.m4s\n", true},
        {HEAD "#EXT-X-DISCONTINUITY\n" TWO, true},
        {HEAD "seg_0000.m4s\n", true},
        {HEAD "#EXTINF:1,\nseg_0000.m4s\nseg_0001.m4s\n", true},
        {HEAD "#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"5@0\"\n" TWO, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct playlist list;
        struct error err;
        cr_assert_eq(playlist_parse(cases[i].text, strlen(cases[i].text), &list, &err), 0);
        cr_expect_eq(list.foreign, cases[i].foreign, "case %zu", i);
        playlist_fini(&list);
    }
}

/* What a completion may rest on: the files that are listed, and nothing else. */
Test(playlist, what_needs_more_than_the_files_it_lists_is_told)
{
    static const struct {
        const char *tag;
        bool self_contained;
    } cases[] = {
        {"", true},
        {"# a comment with URI=\"http://x/\"\n", true},
        {"#EXT-X-DISCONTINUITY\n", true},
        {"#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-TARGETDURATION:6\n", true},
        {"#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-PROGRAM-DATE-TIME:2026-01-03T16:28:00Z\n", true},
        {"#EXT-X-KEY:METHOD=NONE\n", true},
        {"#EXT-X-KEY:METHOD=NONE,URI=\"k\"\n", false},
        {"#EXT-X-KEY:METHOD=AES-128,URI=\"https://x/key\"\n", false},
        {"#EXT-X-KEY:METHOD=SAMPLE-AES\n", false},
        {"#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"key\"\n", false},
        {"#EXT-X-PART:DURATION=1,URI=\"seg_0000.m4s\"\n", false},
        {"#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg_0002.m4s\"\n", false},
        {"#EXT-X-RENDITION-REPORT:URI=\"../b.m3u8\"\n", false},
        {"#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n", false},
        {"#EXT-X-GAP\n", false},
        {"#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n", false},
        {"#EXT-X-BYTERANGE:5@0\n", false},
        {"#EXT-X-I-FRAMES-ONLY\n", false},
        {"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n", false},
        {"#EXT-X-STREAM-INF:BANDWIDTH=1\n", false},
        {"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"b\"\n", false},
        {"#EXT-X-SESSION-DATA:DATA-ID=\"a\",URI=\"b\"\n", false},
        {"#EXT-X-CONTENT-STEERING:SERVER-URI=\"https://x/\"\n", false},
        {"#EXT-X-DATERANGE:ID=\"a\",X-ASSET-URI=\"https://x/\"\n", false},
        {"#EXT-X-ENDLIST-OF:URI=\"b\"\n", false},
        {"#EXT-X-OF-TOMORROW:URI=\"b\"\n", false},
        {"#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"5@0\"\n", false},
        {"#EXT-X-MAP:X-NAME=\"a,b\",URI=\"init.mp4\"\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct playlist list;
        struct error err;
        char text[512];
        snprintf(text, sizeof text, HEAD "%s" TWO END, cases[i].tag);
        cr_assert_eq(playlist_parse(text, strlen(text), &list, &err), 0, "%s: %s", cases[i].tag,
                     err.message);
        cr_expect_eq(list.self_contained, cases[i].self_contained, "%s", cases[i].tag);
        cr_expect(list.self_contained || list.foreign, "%s", cases[i].tag);
        playlist_fini(&list);
    }
}

Test(playlist, a_nul_hides_nothing)
{
    static const char text[] = HEAD TWO "\0" TWO;
    struct playlist list;
    struct error err;
    cr_expect_eq(playlist_parse(text, sizeof text - 1, &list, &err), -1);
}
