#include "agent/step/pipeline_manifest.h"

#include <criterion/criterion.h>
#include <string.h>

Test(existing, what_the_server_has_is_counted)
{
    static const struct {
        const char *body;
        struct remote_rendition existing;
    } cases[] = {
        {"{\"quality\":\"720p\",\"received_segments\":[\"init.mp4\",\"seg_0000.m4s\","
         "\"seg_0001.m4s\",\"stream.m3u8\"],\"total_size_bytes\":1234}",
         {true, true, 2, 1234}},
        {"{\"received_segments\":[],\"total_size_bytes\":0}", {true, false, 0, 0}},
        {"{\"received_segments\":[\"seg_.m4s\",\"seg_1.ts\",\"notes.txt\",7]}",
         {true, false, 1, 0}},
        {"{\"received_segments\":\"all\"}", {false, false, 0, 0}},
        {"<html>", {false, false, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct remote_rendition found;
        remote_rendition_parse(cases[i].body, strlen(cases[i].body), &found);
        cr_expect_eq(found.is_known, cases[i].existing.is_known, "case %zu", i);
        cr_expect_eq(found.is_cmaf, cases[i].existing.is_cmaf, "case %zu", i);
        cr_expect_eq(found.segments, cases[i].existing.segments, "case %zu", i);
        cr_expect_eq(found.bytes, cases[i].existing.bytes, "case %zu", i);
    }
}
