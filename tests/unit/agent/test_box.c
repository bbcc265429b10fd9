#include "agent/media/box.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    unsigned char data[1024];
    size_t size;
};

static void put(struct bytes *bytes, uint32_t number)
{
    cr_assert_leq(bytes->size + 4, sizeof bytes->data);
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes->data[bytes->size++] = (unsigned char)(number >> shift);
}

static size_t begin(struct bytes *bytes, const char *type)
{
    size_t at = bytes->size;
    put(bytes, 0);
    memcpy(bytes->data + bytes->size, type, 4);
    bytes->size += 4;
    return at;
}

static void end(struct bytes *bytes, size_t at)
{
    bytes->data[at + 2] = (unsigned char)((bytes->size - at) >> 8);
    bytes->data[at + 3] = (unsigned char)(bytes->size - at);
}

static void put_box(struct bytes *bytes, const char *type, const uint32_t *numbers, size_t count)
{
    size_t at = begin(bytes, type);
    for (size_t i = 0; i < count; i++)
        put(bytes, numbers[i]);
    end(bytes, at);
}

#define PUT_BOX(bytes, type, ...)                                                                  \
    put_box((bytes), (type), (const uint32_t[]){__VA_ARGS__},                                      \
            sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

enum { AUDIO = 0x736f756e, VIDEO = 0x76696465, KEY = 0x02000000, NO_KEY = 0x01010000 };

static void put_track(struct bytes *init, uint32_t id, uint32_t handler, uint32_t timescale)
{
    size_t track = begin(init, "trak");
    PUT_BOX(init, "tkhd", 0, 0, 0, id);
    size_t edits = begin(init, "edts");
    /* Half a second of nothing, in the movie's 1000; then from 512 of the media's on. */
    PUT_BOX(init, "elst", 0, 2, 500, 0xffffffff, 0x10000, 9000, 512, 0x10000);
    end(init, edits);
    size_t media = begin(init, "mdia");
    PUT_BOX(init, "mdhd", 0, 0, 0, timescale, 0);
    PUT_BOX(init, "hdlr", 0, 0, handler);
    end(init, media);
    end(init, track);
}

static struct bytes make_init(void)
{
    struct bytes init = {.size = 0};
    size_t movie = begin(&init, "moov");
    PUT_BOX(&init, "mvhd", 0, 0, 0, 1000, 0);
    put_track(&init, 1, AUDIO, 48000);
    put_track(&init, 2, VIDEO, 12800);
    size_t extends = begin(&init, "mvex");
    PUT_BOX(&init, "trex", 0, 1, 1, 1024, 0, KEY);
    PUT_BOX(&init, "trex", 0, 2, 1, 512, 0, NO_KEY);
    end(&init, extends);
    end(&init, movie);
    return init;
}

/* Four frames of 512/12800 = 40 ms each, the first one a keyframe where so said. */
static struct bytes make_moof(uint32_t track, uint32_t time, uint32_t first)
{
    struct bytes moof = {.size = 0};
    size_t traf = begin(&moof, "traf");
    PUT_BOX(&moof, "tfhd", 0x020000, track);
    PUT_BOX(&moof, "tfdt", 0, time);
    PUT_BOX(&moof, "trun", 0x01000a05, 4, 8, first, 100, 512, 10, 1536, 10, 0, 10, 0);
    end(&moof, traf);
    return moof;
}

static struct span all(const struct bytes *bytes)
{
    return (struct span){bytes->data, bytes->size};
}

static struct fragment read_moof(const struct bytes *moof)
{
    struct fragment_movie movie;
    struct fragment fragment = {.frames = 0};
    struct bytes init = make_init();
    cr_assert(fragment_read_movie(all(&init), FRAGMENT_VIDEO, &movie));
    fragment_add(&movie, all(moof), &fragment);
    return fragment;
}

Test(fragment, times_are_those_of_the_presentation)
{
    struct bytes moof = make_moof(2, 12800, KEY);
    struct fragment fragment = read_moof(&moof);
    cr_expect_eq(fragment.frames, 4);
    cr_expect(fragment.starts_with_key);
    /* 1 s + 0.04 s of its own + 0.5 s of nothing - 0.04 s that are cut off. */
    cr_expect_eq(fragment.first_us, 1500000, "%lld", (long long)fragment.first_us);
    cr_expect_eq(fragment.start_us, 1500000, "%lld", (long long)fragment.start_us);
    cr_expect_eq(fragment.end_us, 1660000, "%lld", (long long)fragment.end_us);
    cr_expect_eq(fragment.longest_us, 40000);
}

Test(fragment, a_first_picture_that_needs_another_is_no_start)
{
    struct bytes moof = make_moof(2, 0, NO_KEY);
    cr_expect_not(read_moof(&moof).starts_with_key);
}

Test(fragment, sound_is_no_picture_and_has_times_of_its_own)
{
    struct bytes init = make_init(), moof = make_moof(1, 48000, KEY);
    struct fragment_movie movie;
    struct fragment fragment = {.frames = 0};
    cr_expect_eq(read_moof(&moof).frames, 0);
    cr_assert(fragment_read_movie(all(&init), FRAGMENT_AUDIO, &movie));
    fragment_add(&movie, all(&moof), &fragment);
    cr_expect_eq(fragment.frames, 4);
    cr_expect_eq(fragment.first_us, 1500000, "%lld", (long long)fragment.first_us);
}

Test(fragment, a_second_one_goes_on_where_the_first_ends)
{
    struct bytes init = make_init(), first = make_moof(2, 0, KEY), second = make_moof(2, 2048, 0);
    struct fragment_movie movie;
    struct fragment fragment = {.frames = 0};
    cr_assert(fragment_read_movie(all(&init), FRAGMENT_VIDEO, &movie));
    fragment_add(&movie, all(&first), &fragment);
    fragment_add(&movie, all(&second), &fragment);
    cr_expect_eq(fragment.frames, 8);
    cr_expect_eq(fragment.end_us - fragment.start_us, 320000);
}

/* Every cut and every changed byte: nothing is read outside (the sanitizer would say so), and
 * nothing takes long. */
Test(fragment, damage_is_survived)
{
    struct bytes init = make_init(), moof = make_moof(2, 0, KEY);
    struct bytes *both[] = {&init, &moof};
    for (size_t i = 0; i < 2; i++)
        for (size_t size = 0; size <= both[i]->size; size++) {
            unsigned char *copy = malloc(size ? size : 1);
            memcpy(copy, both[i]->data, size);
            for (size_t at = 0; at <= size; at++) {
                struct fragment_movie movie;
                struct fragment fragment = {.frames = 0};
                unsigned char before = at < size ? copy[at] : 0;
                if (at < size)
                    copy[at] = 0xff;
                fragment_read_movie(i == 0 ? (struct span){copy, size} : all(&init), FRAGMENT_VIDEO,
                                    &movie);
                if (movie.timescale > 0)
                    fragment_add(&movie, i == 1 ? (struct span){copy, size} : all(&moof),
                                 &fragment);
                if (at < size)
                    copy[at] = before;
            }
            free(copy);
        }
}
