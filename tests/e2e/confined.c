/* What a transcoder cannot do, whatever the video makes of it; and the limits that end it. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "peer.h"
#include "rig.h"
#include "transcoder.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* ---- videos that are lists of other things --------------------------------------------------- */

static void wait_failed(struct rig *rig, char reason[600])
{
    inspect_wait_int(rig, 1, RIG_JOB_MS, "SELECT count(*) FROM videos WHERE status='failed'");
    inspect_text(rig, reason, 600, "SELECT error_message FROM videos WHERE id=1");
}

static bool was_opened(int watch)
{
    char events[1024];
    return read(watch, events, sizeof events) > 0;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
/* %1$s: a real video beside it; %2$d: the port of a server that would notice. */
static void refuses_to_follow(const char *name, const char *format)
{
    struct rig *rig = rig_new();
    struct peer *server = peer_start();
    TEXT(canary) = rig_path(rig, "canary.mp4");
    RUN(copy) = run_program((const char *[]){"cp", "--", media_clip(MEDIA_TINY), canary, NULL},
                            NULL, RIG_START_MS);
    TEXT(text) = NULL;
    cr_assert(asprintf(&text, format, canary, peer_port(server)) > 0);
    TEXT(video) = rig_path(rig, "%s", name);
    file_write(video, text, 0600);
    FD(watch) = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    cr_assert_geq(inotify_add_watch(watch, canary, IN_OPEN), 0);
    rig_begin(rig, video);
    char reason[600];
    wait_failed(rig, reason);
    cr_assert_not(was_opened(watch), "the other file was opened; %s", reason);
    cr_assert_eq(peer_count(server, "*"), 0, "something was fetched; %s", reason);
    peer_stop(server);
    rig_end(rig);
}

#pragma GCC diagnostic pop

Test(confined, a_video_that_is_a_playlist_of_files_opens_none, .timeout = 120)
{
    refuses_to_follow("evil.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.5,\nfile:%1$s\n"
                                  "#EXTINF:1.5,\nhttp://127.0.0.1:%2$d/a.ts\n#EXT-X-ENDLIST\n");
}

Test(confined, a_video_that_is_a_list_to_join_opens_none, .timeout = 120)
{
    refuses_to_follow("evil.mkv", "ffconcat version 1.0\nfile '%1$s'\n"
                                  "file 'http://127.0.0.1:%2$d/b.mp4'\n");
}

Test(confined, a_video_that_is_a_manifest_of_addresses_fetches_none, .timeout = 120)
{
    refuses_to_follow(
        "evil.webm",
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
        "profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\" type=\"static\" "
        "mediaPresentationDuration=\"PT2S\"><Period><AdaptationSet mimeType=\"video/mp4\">"
        "<Representation id=\"1\" bandwidth=\"1\"><BaseURL>file:%1$s</BaseURL></Representation>"
        "<Representation id=\"2\" bandwidth=\"2\"><BaseURL>http://127.0.0.1:%2$d/c.mp4</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>\n");
}
/* ---- the network ----------------------------------------------------------------------------- */

/* A shell that calls the server, and says into the file how it went. */
static char *calling(const struct rig *rig, const struct peer *server)
{
    return must_printf("bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d && "
                       "printf \"GET /called HTTP/1.0\\r\\n\\r\\n\" >&3 && cat <&3' "
                       "</dev/null >>'%s/said' 2>&1",
                       peer_port(server), rig->dir);
}

static void expect_no_call(struct rig *rig, struct peer *server)
{
    TEXT(path) = rig_path(rig, "said");
    TEXT(said) = file_read(path);
    cr_assert(strstr(said, "Operation not permitted"), "%s", said);
    cr_assert_eq(peer_count(server, "*"), 0);
}

Test(confined, ffmpeg_has_no_network_and_encodes, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *server = peer_start();
    TEXT(call) = calling(rig, server);
    transcoder_does(rig, "%s", call);
    int64_t job = rig_begin(rig, media_clip(MEDIA_TINY));
    rig_wait_completed(rig, job);
    expect_no_call(rig, server);
    peer_stop(server);
    rig_end(rig);
}

static struct rig *with_command(struct peer *server, int64_t *job)
{
    struct rig *rig = rig_new();
    TEXT(call) = calling(rig, server);
    TEXT(text) = must_printf("%s\ncp -r '%s'/. \"$2\"", call, media_tree());
    TEXT(script) = rig_script(rig, "transcoder", text);
    TEXT(command) = must_printf("\"%s {source} {output}\"", script);
    rig_agent_set(rig, "transcode.recipe", "\"command\"");
    rig_agent_set(rig, "transcode.command", command);
    rig_start_verifier(rig);
    *job = rig_add_job(rig, media_clip(MEDIA_NORMAL), "film");
    return rig;
}

Test(confined, a_command_has_no_network_either, .timeout = 120)
{
    int64_t job;
    struct peer *server = peer_start();
    struct rig *rig = with_command(server, &job);
    rig_start_agent(rig);
    rig_wait_delivered(rig, job);
    expect_no_call(rig, server);
    peer_stop(server);
    rig_end(rig);
}

Test(confined, unless_it_is_allowed, .timeout = 120)
{
    int64_t job;
    struct peer *server = peer_start();
    struct rig *rig = with_command(server, &job);
    rig_agent_set(rig, "transcode.network", "true");
    rig_start_agent(rig);
    rig_wait_delivered(rig, job);
    cr_assert_eq(peer_count(server, "GET /called"), 1);
    peer_stop(server);
    rig_end(rig);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void ends_by(struct rig *rig, const char *word)
{
    rig_begin(rig, media_clip(MEDIA_NORMAL));
    char line[LINE_BYTES];
    process_expect(rig->verifier, "event=failure.recorded", RIG_JOB_MS, line);
    cr_assert(strstr(line, word), "%s", line);
    rig_end(rig);
}

Test(confined, a_transcode_has_so_much_time_as_its_video_is_long, .timeout = 180)
{
    struct rig *rig = rig_new();
    transcoder_takes_time(rig, "0.2");
    rig_agent_set(rig, "limits.wall_factor", "0.5");
    rig_agent_set(rig, "limits.wall_floor_minutes", "0.0");
    ends_by(rig, "on a video of 3 s, which is over the limit (limits.wall_factor");
}

Test(confined, a_transcode_has_so_much_memory, .timeout = 180)
{
    struct rig *rig = rig_new();
    transcoder_takes_time(rig, "0.5");
    rig_agent_set(rig, "limits.memory_gb", "0.008");
    ends_by(rig, "of memory (limits.memory_gb)");
}

/* One file that grows: the kernel ends it. It is nobody's accident: there is no second attempt. */
Test(confined, an_output_has_so_many_bytes_as_its_rates_give, .timeout = 180)
{
    struct rig *rig = rig_new();
    TEXT(script) = rig_script(rig, "transcoder", "exec head -c 200000000 /dev/zero >\"$1/huge\"");
    TEXT(command) = must_printf("\"%s {output}\"", script);
    rig_agent_set(rig, "transcode.recipe", "\"command\"");
    rig_agent_set(rig, "transcode.command", command);
    rig_begin(rig, media_clip(MEDIA_NORMAL));
    char reason[600];
    wait_failed(rig, reason);
    cr_assert(strstr(reason, "limits.output_factor"), "%s", reason);
    cr_assert_eq(inspect_int(rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    rig_end(rig);
}
