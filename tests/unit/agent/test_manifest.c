#include "agent/media/manifest.h"
#include "agent/media/measure.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "#EXTM3U\n#EXT-X-VERSION:7\n"
#define MAP  "#EXT-X-MAP:URI=\"init.mp4\"\n"
#define TWO  "#EXTINF:6.000000,\nseg_0000.m4s\n#EXTINF:2.5,\nseg_0001.m4s\n"
#define END  "#EXT-X-ENDLIST\n"

/* ---- manifests ------------------------------------------------------------------------------- */

static struct playlist list_of(const char *text)
{
    struct playlist list;
    struct error err;
    cr_assert_eq(playlist_parse(text, strlen(text), &list, &err), 0);
    return list;
}

static struct manifest_rendition rendition(enum tailslate_quality quality,
                                           const struct playlist *list)
{
    return (struct manifest_rendition){
        .quality = quality,
        .width = 1280,
        .height = 720,
        .peak_bps = 3000000,
        .average_bps = 2500000,
        .codecs = "avc1.64001f,mp4a.40.2",
        .frame_rate = 23.976,
        .start_us = 80000,
        .segments = list,
    };
}

Test(manifest, the_master_tells_players_what_each_rendition_needs)
{
    struct manifest_rendition all[] = {rendition(TAILSLATE_QUALITY_720P, NULL),
                                       rendition(TAILSLATE_QUALITY_ORIGINAL, NULL)};
    all[1].codecs[0] = '\0';
    all[1].frame_rate = 0;
    char *text = manifest_master(all, 2, NULL, 0);
    cr_expect_str_eq(text, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
                           "#EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=2500000,"
                           "RESOLUTION=1280x720,CODECS=\"avc1.64001f,mp4a.40.2\","
                           "FRAME-RATE=23.976\n720p/stream.m3u8\n"
                           "#EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=2500000,"
                           "RESOLUTION=1280x720\noriginal/stream.m3u8\n");
    free(text);
}

Test(manifest, the_master_names_an_older_layout_and_a_range_of_brightness)
{
    struct manifest_rendition all[] = {rendition(TAILSLATE_QUALITY_720P, NULL),
                                       rendition(TAILSLATE_QUALITY_360P, NULL)};
    all[0].video_range = "PQ";
    all[1].is_flat = true;
    char *text = manifest_master(all, 2, NULL, 0);
    cr_expect_not_null(strstr(text, "FRAME-RATE=23.976,VIDEO-RANGE=PQ\n720p/stream.m3u8\n"));
    cr_expect_not_null(strstr(text, "FRAME-RATE=23.976\n360p.m3u8\n"));
    free(text);
}

Test(manifest, a_choice_of_sound_is_a_group_beside_pictures_by_themselves)
{
    struct manifest_rendition one = rendition(TAILSLATE_QUALITY_360P, NULL);
    const struct audio_track tracks[] = {
        {.language = "ger"},
        {.language = "eng"},
        {.language = "eng", .title = "The \"director\"\n", .is_secondary = true},
        {.language = "und", .is_secondary = true, .describes_video = true},
    };
    struct manifest_audio audio[4];
    for (size_t i = 0; i < 4; i++)
        audio[i] = (struct manifest_audio){.track = &tracks[i],
                                           .home = TAILSLATE_QUALITY_360P,
                                           .number = i,
                                           .peak_bps = i == 2 ? 140000 : 0,
                                           .average_bps = i == 1 ? 130000 : 0};
    strcpy(one.codecs, "avc1.64001f,ac-3");
    one.video = (struct rates){.peak_bps = 2000000, .average_bps = 1500000};
    char *text = manifest_master(&one, 1, audio, 4);
#define CHOICE "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\","
    cr_expect_str_eq(text,
                     HEAD "#EXT-X-INDEPENDENT-SEGMENTS\n" CHOICE
                          "NAME=\"de\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,"
                          "URI=\"360p/audio_0.m3u8\"\n" CHOICE
                          "NAME=\"en\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=YES,"
                          "URI=\"360p/audio_1.m3u8\"\n" CHOICE
                          "NAME=\"The 'director''\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,"
                          "URI=\"360p/audio_2.m3u8\"\n" CHOICE
                          "NAME=\"Track 4\",DEFAULT=NO,AUTOSELECT=NO,"
                          "CHARACTERISTICS=\"public.accessibility.describes-video\","
                          "URI=\"360p/audio_3.m3u8\"\n"
                          "#EXT-X-STREAM-INF:BANDWIDTH=2140000,AVERAGE-BANDWIDTH=1630000,"
                          "RESOLUTION=1280x720,CODECS=\"avc1.64001f,mp4a.40.2\","
                          "FRAME-RATE=23.976,AUDIO=\"audio\"\n360p/video.m3u8\n",
                     "%s", text);
    free(text);
}

Test(manifest, choices_of_one_name_are_told_apart)
{
    struct manifest_rendition one = rendition(TAILSLATE_QUALITY_360P, NULL);
    const struct audio_track track = {.language = "eng"};
    const struct manifest_audio audio[] = {
        {.track = &track}, {.track = &track, .home = TAILSLATE_QUALITY_360P, .number = 1}};
    one.video.peak_bps = 2000000;
    char *text = manifest_master(&one, 1, audio, 2);
    cr_expect_not_null(strstr(text, "NAME=\"en\","));
    cr_expect_not_null(strstr(text, "NAME=\"en (2)\","));
    cr_expect_not_null(strstr(text, "NAME=\"en (2)\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO"));
    free(text);
    one.video.peak_bps = 0;
    text = manifest_master(&one, 1, audio, 2);
    cr_expect_null(strstr(text, "AUDIO"), "without pictures by themselves: %s", text);
    free(text);
}

static int count(const char *text, const char *word)
{
    int found = 0;
    while ((text = strstr(text, word))) {
        found++;
        text += strlen(word);
    }
    return found;
}

Test(manifest, the_mpd_holds_the_playlists_own_durations)
{
    struct playlist list = list_of(HEAD MAP "#EXTINF:6,\nseg_0000.m4s\n#EXTINF:6,\nseg_0001.m4s\n"
                                            "#EXTINF:2.5,\nseg_0002.m4s\n" END);
    struct manifest_rendition one = rendition(TAILSLATE_QUALITY_720P, &list);
    char *text = manifest_mpd(&one, 1);
    cr_expect_eq(count(text, "type=\"static\""), 1);
    cr_expect_eq(count(text, "mediaPresentationDuration=\"PT14.500S\""), 1);
    cr_expect_eq(count(text, "<S t=\"80000\" d=\"6000000\" r=\"1\"/>"), 1);
    cr_expect_eq(count(text, "<S d=\"2500000\"/>"), 1);
    cr_expect_eq(count(text, "presentationTimeOffset=\"80000\""), 1);
    cr_expect_eq(count(text, "initialization=\"720p/init.mp4\""), 1);
    cr_expect_eq(count(text, "media=\"720p/seg_$Number%04d$.m4s\""), 1);
    cr_expect_eq(count(text, "startNumber=\"0\""), 1);
    free(text);
    playlist_fini(&list);
}

Test(manifest, renditions_that_cannot_be_switched_between_are_kept_apart)
{
    struct playlist aligned = list_of(HEAD MAP TWO END), same = list_of(HEAD MAP TWO END);
    struct playlist other = list_of(HEAD MAP
                                    "#EXTINF:4,\nseg_0000.m4s\n#EXTINF:4.5,\nseg_0001.m4s\n" END);
    struct manifest_rendition all[] = {
        rendition(TAILSLATE_QUALITY_720P, &aligned), rendition(TAILSLATE_QUALITY_480P, &same),
        rendition(TAILSLATE_QUALITY_360P, NULL), rendition(TAILSLATE_QUALITY_ORIGINAL, &other)};
    char *text = manifest_mpd(all, 4);
    cr_expect_eq(count(text, "<AdaptationSet"), 2);
    cr_expect_eq(count(text, "<Representation"), 3, "what is only on the server has no timeline");
    free(text);
    all[1].start_us += 50000;
    text = manifest_mpd(all, 4);
    cr_expect_eq(count(text, "<AdaptationSet"), 3, "another start is another timeline");
    free(text);
    memcpy(all[1].codecs, "hvc1", 5);
    all[1].start_us -= 50000;
    text = manifest_mpd(all, 4);
    cr_expect_eq(count(text, "<AdaptationSet"), 3, "another codec cannot be switched to");
    free(text);
    playlist_fini(&aligned);
    playlist_fini(&same);
    playlist_fini(&other);
}

Test(manifest, text_in_the_mpd_is_escaped)
{
    struct playlist list = list_of(HEAD "#EXT-X-MAP:URI=\"a&<b>.mp4\"\n" TWO END);
    struct manifest_rendition one = rendition(TAILSLATE_QUALITY_360P, &list);
    memcpy(one.codecs, "x\"y", 4);
    char *text = manifest_mpd(&one, 1);
    cr_expect_eq(count(text, "360p/a&amp;&lt;b&gt;.mp4"), 1);
    cr_expect_eq(count(text, "codecs=\"x&quot;y\""), 1);
    free(text);
    playlist_fini(&list);
}

Test(manifest, nothing_new_makes_no_mpd)
{
    struct manifest_rendition one = rendition(TAILSLATE_QUALITY_360P, NULL);
    cr_expect_null(manifest_mpd(&one, 1));
    cr_expect_null(manifest_mpd(NULL, 0));
}

/* ---- codecs ---------------------------------------------------------------------------------- */

struct boxes {
    unsigned char data[1024];
    size_t size;
};

static void put(struct boxes *boxes, const void *data, size_t size)
{
    cr_assert_leq(boxes->size + size, sizeof boxes->data);
    memcpy(boxes->data + boxes->size, data, size);
    boxes->size += size;
}

/* Wraps everything from `from` on in a box. */
static void wrap(struct boxes *boxes, size_t from, const char *type)
{
    size_t size = boxes->size - from + 8;
    cr_assert_leq(boxes->size + 8, sizeof boxes->data);
    memmove(boxes->data + from + 8, boxes->data + from, boxes->size - from);
    boxes->data[from] = boxes->data[from + 1] = 0;
    boxes->data[from + 2] = (unsigned char)(size >> 8);
    boxes->data[from + 3] = (unsigned char)size;
    memcpy(boxes->data + from + 4, type, 4);
    boxes->size += 8;
}

static void put_track(struct boxes *boxes, const char *entry, size_t entry_bytes,
                      const char *config, const void *data, size_t size)
{
    static const unsigned char zeros[128];
    size_t track = boxes->size, inner;
    put(boxes, zeros, 8); /* stsd: version, flags, count */
    inner = boxes->size;
    put(boxes, zeros, entry_bytes);
    size_t box = boxes->size;
    put(boxes, data, size);
    wrap(boxes, box, config);
    wrap(boxes, inner, entry);
    wrap(boxes, track, "stsd");
    wrap(boxes, track, "stbl");
    wrap(boxes, track, "minf");
    wrap(boxes, track, "mdia");
    wrap(boxes, track, "trak");
}

static const unsigned char avc[] = {1, 0x64, 0x00, 0x1f, 0xff};
static const unsigned char hevc[] = {1, 0x02, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 63};
static const unsigned char av1[] = {0x81, 0x08, 0x40, 0};
static const unsigned char aac[] = {0, 0,    0,    0,    3, 0x80, 0x80, 0x80, 0x19, 0, 2, 0,
                                    4, 0x11, 0x40, 0x15, 0, 0,    0,    0,    0,    0, 0, 0,
                                    0, 0,    0,    5,    2, 0x11, 0x90, 6,    1,    2};
static const unsigned char mp3[] = {0,    0, 0, 0, 3, 18, 0, 2, 0, 4, 13, 0x6b,
                                    0x15, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0,  0};

static struct codecs read_boxes(struct boxes *boxes)
{
    struct codecs codecs;
    wrap(boxes, 0, "moov");
    measure_codecs(boxes->data, boxes->size, &codecs);
    return codecs;
}

Test(codecs, the_word_comes_from_the_decoder_configuration)
{
    static const struct {
        const char *entry, *config;
        const unsigned char *data;
        size_t size;
        const char *expected;
        enum tailslate_codec codec;
    } cases[] = {
        {"avc1", "avcC", avc, sizeof avc, "avc1.64001f", TAILSLATE_CODEC_H264},
        {"hvc1", "hvcC", hevc, sizeof hevc, "hvc1.2.4.L63.90", TAILSLATE_CODEC_HEVC},
        {"av01", "av1C", av1, sizeof av1, "av01.0.08M.10", TAILSLATE_CODEC_AV1},
        {"avc1", "junk", avc, sizeof avc, "", TAILSLATE_CODEC_ABSENT},
        {"avc1", "avcC", avc, 3, "", TAILSLATE_CODEC_ABSENT},
        {"vp09", "vpcC", avc, sizeof avc, "", TAILSLATE_CODEC_ABSENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct boxes boxes = {.size = 0};
        put_track(&boxes, cases[i].entry, 78, cases[i].config, cases[i].data, cases[i].size);
        struct codecs codecs = read_boxes(&boxes);
        cr_expect_str_eq(codecs.text, cases[i].expected, "case %zu: %s", i, codecs.text);
        cr_expect_eq(codecs.video, cases[i].codec, "case %zu", i);
    }
}

Test(codecs, sound_is_named_behind_the_pictures)
{
    struct boxes boxes = {.size = 0};
    put_track(&boxes, "avc1", 78, "avcC", avc, sizeof avc);
    put_track(&boxes, "mp4a", 28, "esds", aac, sizeof aac);
    cr_expect_str_eq(read_boxes(&boxes).text, "avc1.64001f,mp4a.40.2");
    struct boxes old = {.size = 0};
    put_track(&old, "avc1", 78, "avcC", avc, sizeof avc);
    put_track(&old, "mp4a", 28, "esds", mp3, sizeof mp3);
    cr_expect_str_eq(read_boxes(&old).text, "avc1.64001f,mp4a.6B");
}

Test(codecs, sound_alone_is_no_video)
{
    struct boxes boxes = {.size = 0};
    put_track(&boxes, "mp4a", 28, "esds", aac, sizeof aac);
    struct codecs codecs = read_boxes(&boxes);
    cr_expect_str_eq(codecs.text, "");
    cr_expect_eq(codecs.video, TAILSLATE_CODEC_ABSENT);
}

/* Every cut and every changed byte: nothing is read outside (the sanitizer would say so). */
Test(codecs, damage_is_survived)
{
    struct boxes boxes = {.size = 0};
    struct codecs codecs;
    put_track(&boxes, "hvc1", 78, "hvcC", hevc, sizeof hevc);
    put_track(&boxes, "mp4a", 28, "esds", aac, sizeof aac);
    wrap(&boxes, 0, "moov");
    for (size_t size = 0; size <= boxes.size; size++) {
        unsigned char *copy = malloc(size + 1);
        memcpy(copy, boxes.data, size);
        copy = realloc(copy, size ? size : 1);
        measure_codecs(copy, size, &codecs);
        for (size_t at = 0; at < size; at++) {
            unsigned char before = copy[at];
            copy[at] = 0xff;
            measure_codecs(copy, size, &codecs);
            copy[at] = before;
        }
        free(copy);
    }
    cr_expect_str_eq(codecs.text, "hvc1.2.4.L63.90,mp4a.40.2");
}
