#include "../base/scratch.h"
#include "agent/step/upload_archive.h"
#include "agent/step/upload_record.h"
#include "lib/cleanup.h"
#include "lib/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct upload_rendition rendition(void)
{
    return (struct upload_rendition){.quality = TAILSLATE_QUALITY_720P, .watch = -1};
}

static void add(struct upload_rendition *list, const char *name, const char *hex)
{
    struct upload_file *file = upload_file_get(list, name);
    cr_assert_not_null(file);
    if (hex)
        upload_file_done(list, file, hex);
}

Test(upload, what_was_uploaded_is_known_in_the_next_life_with_its_sha256)
{
    SCRATCH(scratch);
    struct error err;
    struct upload_rendition first = rendition(), next = rendition();
    add(&first, "init.mp4", HEX_A);
    add(&first, "seg_0000.m4s", HEX_B);
    add(&first, "seg_0001.m4s", NULL);
    cr_assert_eq(upload_record_write(scratch.fd, &first, &err), 0, "%s", err.message);
    cr_expect_not(first.changed);
    cr_assert_eq(upload_record_read(scratch.fd, &next, &err), 0);
    cr_expect_eq(next.count, 2);
    cr_expect_eq(next.uploaded, 2);
    cr_expect(upload_file_has(upload_file_find(&next, "seg_0000.m4s"), HEX_B));
    cr_expect_not(upload_file_has(upload_file_find(&next, "seg_0000.m4s"), HEX_A),
                  "other bytes were not uploaded");
    cr_expect_null(upload_file_find(&next, "seg_0001.m4s"));
    upload_record_fini(&first);
    upload_record_fini(&next);
}

Test(upload, the_record_has_the_form_of_sha256sum)
{
    SCRATCH(scratch);
    TEXT(text) = NULL;
    size_t size;
    struct error err;
    struct upload_rendition list = rendition();
    add(&list, "init.mp4", HEX_B);
    cr_assert_eq(upload_record_write(scratch.fd, &list, &err), 0);
    cr_assert_eq(durable_read(scratch.fd, "uploads-720p.sha256", 4096, &text, &size, &err), 0);
    cr_expect_str_eq(text, HEX_B "  init.mp4\n");
    upload_record_fini(&list);
}

Test(upload, no_record_is_an_empty_one)
{
    SCRATCH(scratch);
    struct error err;
    struct upload_rendition list = rendition();
    cr_expect_eq(upload_record_read(scratch.fd, &list, &err), 0);
    cr_expect_eq(list.count, 0);
}

Test(upload, lines_that_we_never_wrote_are_passed_over)
{
    SCRATCH(scratch);
    static const char text[] = "nonsense\n" HEX_A "\n" HEX_A "  ../../etc/passwd\n" HEX_A
                               "  seg_0000.txt\n" HEX_B "  seg_0001.m4s\n" HEX_A "  seg_0002.m4";
    struct error err;
    struct upload_rendition list = rendition();
    scratch_put(&scratch, "uploads-720p.sha256", text, sizeof text - 1, 0600);
    cr_assert_eq(upload_record_read(scratch.fd, &list, &err), 0);
    cr_expect_eq(list.count, 1);
    cr_expect_not_null(upload_file_find(&list, "seg_0001.m4s"));
    upload_record_fini(&list);
}

Test(upload, what_is_no_file_of_ours_is_an_empty_record)
{
    SCRATCH(scratch);
    struct error err;
    struct upload_rendition list = rendition();
    cr_assert_eq(mkdirat(scratch.fd, "uploads-720p.sha256", 0700), 0);
    cr_expect_eq(upload_record_read(scratch.fd, &list, &err), 0);
    cr_expect_eq(list.count, 0);
}

Test(upload, what_is_forgotten_is_uploaded_again)
{
    SCRATCH(scratch);
    struct error err;
    struct upload_rendition list = rendition();
    add(&list, "init.mp4", HEX_A);
    cr_assert_eq(upload_record_write(scratch.fd, &list, &err), 0);
    cr_assert_eq(upload_record_forget(scratch.fd, &list, &err), 0);
    cr_expect_eq(list.uploaded, 0);
    cr_expect_not(upload_file_has(upload_file_find(&list, "init.mp4"), HEX_A));
    cr_expect_not(durable_exists(scratch.fd, "uploads-720p.sha256"));
    upload_record_fini(&list);
}

Test(upload, done_and_undone_are_counted_once)
{
    struct upload_rendition list = rendition();
    add(&list, "init.mp4", HEX_A);
    add(&list, "init.mp4", HEX_B);
    cr_expect_eq(list.count, 1);
    cr_expect_eq(list.uploaded, 1);
    upload_file_undone(&list, upload_file_find(&list, "init.mp4"));
    upload_file_undone(&list, upload_file_find(&list, "init.mp4"));
    cr_expect_eq(list.uploaded, 0);
    cr_expect(list.changed);
    upload_record_fini(&list);
}

Test(upload, the_list_of_a_long_video_has_all_its_files)
{
    struct upload_rendition list = rendition();
    char name[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "seg_%04d.m4s", i);
        add(&list, name, i % 2 ? HEX_A : NULL);
    }
    cr_expect_eq(list.count, 3000);
    cr_expect_eq(list.uploaded, 1500);
    cr_expect(upload_file_has(upload_file_find(&list, "seg_2999.m4s"), HEX_A));
    upload_record_fini(&list);
}

Test(upload, only_names_that_the_wire_takes_are_sent)
{
    static const struct {
        const char *name;
        bool is_fine;
    } cases[] = {
        {"init.mp4", true},
        {"seg_0000.m4s", true},
        {"seg_10000.m4s", true},
        {"stream.m3u8", false},
        {"seg_0000.m4s.tmp", false},
        {".hidden.m4s", false},
        {"a/b.m4s", false},
        {"a\\b.m4s", false},
        {"a%b.m4s", false},
        {"a..b.m4s", false},
        {"a b.m4s", false},
        {"m4s", false},
        {".m4s", false},
        {"", false},
        {"result.json", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(upload_is_segment_name(cases[i].name), cases[i].is_fine, "%s", cases[i].name);
}

Test(upload, the_playlist_beside_a_directory_names_its_files)
{
    TEXT(text) = upload_alias_text("#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:6,\n"
                                   "seg_0000.m4s\n\n#EXT-X-ENDLIST",
                                   "original");
    cr_expect_str_eq(text, "#EXTM3U\n#EXT-X-MAP:URI=\"original/init.mp4\"\n#EXTINF:6,\n"
                           "original/seg_0000.m4s\n\n#EXT-X-ENDLIST\n");
}
