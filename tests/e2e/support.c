/* The rig's own promises: what the other tests lean on is itself seen to work. */
#include "call.h"
#include "guard.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "peer.h"

#include <criterion/criterion.h>
#include <string.h>

enum { CALL_MS = 10 * 1000 };

static struct reply get(struct peer *peer, const char *path)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d%s", peer_port(peer), path);
    return call_make(&(struct call){.url = url, .timeout_ms = CALL_MS});
}

Test(support, the_clips_are_what_they_claim_to_be)
{
    TEXT(tiny) = media_probe(media_clip(MEDIA_TINY), "stream=width,height", "v:0");
    cr_assert_str_eq(tiny, "320\n180");
    TEXT(odd) = media_probe(media_clip(MEDIA_ODD), "stream=width,height", "v:0");
    cr_assert_str_eq(odd, "321\n181");
    TEXT(portrait) = media_probe(media_clip(MEDIA_PORTRAIT), "stream=width,height", "v:0");
    cr_assert_str_eq(portrait, "360\n640");
    TEXT(rotation) = media_probe(media_clip(MEDIA_ROTATED), "stream_side_data=rotation", "v:0");
    cr_assert(strstr(rotation, "90"), "the rotation is \"%s\"", rotation);
    TEXT(silent) = media_probe(media_clip(MEDIA_SILENT), "stream=codec_type", NULL);
    cr_assert_str_eq(silent, "video");
    TEXT(audio) = media_probe(media_clip(MEDIA_AUDIO), "stream=codec_type", NULL);
    cr_assert_str_eq(audio, "audio");
    cr_assert_float_eq(media_duration(media_clip(MEDIA_NORMAL)), 3.0, 0.1);
    cr_assert_float_eq(media_duration(media_clip(MEDIA_SHORT)), 1.0, 0.1);
}

Test(support, the_truncated_clip_promises_more_than_it_has)
{
    const char *clip = media_clip(MEDIA_TRUNCATED);
    cr_assert_float_eq(media_duration(clip), 20.0, 0.5);
    TEXT(script) = must_printf("ffprobe -v quiet -select_streams v:0 -show_entries "
                               "packet=pts_time -of csv=p=0 '%s' | wc -l",
                               clip);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, CALL_MS);
    long frames = strtol(run.out, NULL, 10);
    cr_assert(frames > 50 && frames < 250, "%ld frames", frames);
}

Test(support, a_peer_plays_its_script_and_then_goes_on_with_the_last)
{
    struct peer *peer = peer_start();
    peer_script(peer, "GET /x", "503 retry-after=1 code=store_unavailable; hangup; html 200; 404");
    REPLY(first) = get(peer, "/x");
    reply_is(&first, 503, "store_unavailable");
    char after[8];
    reply_header(&first, "retry-after", after, sizeof after);
    cr_assert_str_eq(after, "1");
    REPLY(second) = get(peer, "/x");
    cr_assert_eq(second.status, 0);
    REPLY(third) = get(peer, "/x");
    cr_assert(third.status == 200 && !third.json);
    REPLY(fourth) = get(peer, "/x");
    REPLY(fifth) = get(peer, "/x");
    cr_assert(fourth.status == 404 && fifth.status == 404);
    cr_assert_eq(peer_count(peer, "GET /x"), 5);
    peer_stop(peer);
}

Test(support, a_peer_in_between_loses_the_answer_but_not_the_request)
{
    struct peer *server = peer_start(), *between = peer_start();
    peer_set_upstream(between, peer_port(server));
    peer_script(server, "GET *", "200 {\"status\":\"ok\"}");
    peer_script(between, "GET *", "lost");
    REPLY(lost) = get(between, "/x");
    cr_assert_eq(lost.status, 0);
    cr_assert_eq(peer_count(server, "GET /x"), 1);
    REPLY(passed) = get(between, "/x");
    reply_is(&passed, 200, NULL);
    cr_assert_str_eq(reply_text(&passed, "status"), "ok");
    peer_stop(between);
    peer_stop(server);
}

Test(support, the_guard_finds_what_has_left_its_session_and_its_parent)
{
    char scratch[] = "/tmp/tailslate-guard-XXXXXX";
    cr_assert(mkdtemp(scratch));
    TEXT(variable) = must_printf("TAILSLATE_TEST_SCRATCH=%s", scratch);
    /* It speaks once it is what it will stay: in the middle of an exec a process has no environment
     * to be known by, and this test once asked just then. */
    RUN(run) = run_program(
        (const char *[]){"sh", "-c",
                         "cd $TAILSLATE_TEST_SCRATCH && mkfifo up && cd / && { setsid sh -c "
                         "'echo up >$TAILSLATE_TEST_SCRATCH/up; kill -STOP $$' & } && "
                         "read -r _ <$TAILSLATE_TEST_SCRATCH/up",
                         NULL},
        (const char *[]){variable, NULL}, CALL_MS);
    cr_assert_eq(run.status, 0);
    cr_assert_eq(guard_kill_all(scratch), 1);
    cr_assert_eq(guard_kill_all(scratch), 0);
    TEXT(up) = must_printf("%s/up", scratch);
    remove(up);
    remove(scratch);
}
