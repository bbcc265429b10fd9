#include "lib/cleanup.h"
#include "verifier/cli/command_status.h"
#include "verifier/cli/span.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW "2026-01-03T16:00:00.000000+00:00"

Test(status_print, tells_ages_from_the_databases_now)
{
    static const struct {
        const char *at, *told;
    } cases[] = {
        {"", "never"},
        {"2026-01-03T15:59:48.000000+00:00", "12 s ago"},
        {"2026-01-03T15:58:01.000000+00:00", "119 s ago"},
        {"2026-01-03T15:58:00.000000+00:00", "2 min ago"},
        {"2026-01-03T14:01:00.000000+00:00", "119 min ago"},
        {"2026-01-03T14:00:00.000000+00:00", "2 h ago"},
        {"2026-01-01T16:00:00.000000+00:00", "2 d ago"},
        {"2026-01-03T16:28:00.000000+00:00", "in 28 min"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[STATUS_SPAN_BYTES];
        status_span(NOW, cases[i].at, text);
        cr_expect_str_eq(text, cases[i].told, "%s: %s", cases[i].at, text);
    }
}

Test(status_print, draws_a_bar_within_its_ends)
{
    char text[STATUS_BAR_BYTES];
    status_bar(50, text);
    cr_expect_str_eq(text, "[########........]  50%");
    status_bar(100, text);
    cr_expect_str_eq(text, "[################] 100%");
    status_bar(-3, text);
    cr_expect_str_eq(text, "[................]   0%");
    status_bar(400, text);
    cr_expect_str_eq(text, "[################] 100%");
}

static char *printed(const struct status_view *view)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    status_print(view, out);
    fclose(out);
    return text;
}

Test(status_print, names_a_replayed_late_completion_and_why_a_job_was_released)
{
    char released[] =
        "[{\"job\":7,\"epoch\":2,\"detail\":\"worker anna has sent no heartbeat since 10:00\"}]";
    struct status_view view = {
        .overview = {.fleet = {.now = NOW, .alive_at = NOW, .up_since = NOW},
                     .recent = {{.job_id = 5,
                                 .replays = 3,
                                 .late = true,
                                 .slug = "film",
                                 .committed_at = NOW}},
                     .recent_count = 1,
                     .sweeps = {{.swept_at = NOW,
                                 .outcome = "released",
                                 .released_count = 1,
                                 .released = released}},
                     .sweep_count = 1},
    };
    TEXT(text) = printed(&view);
    cr_expect(strstr(text, "5    0 s ago  3        late"), "%s", text);
    cr_expect(strstr(text, "worker anna has sent no heartbeat since 10:00"), "%s", text);
}

Test(status_print, names_silent_workers_what_they_hold_and_what_to_do)
{
    struct store_worker workers[8] = {
        {.name = "anna\033", .status = "offline", .current_job_id = 7, .last_heartbeat = NOW},
        {.name = "off", .status = "disabled"},
        {.name = "idle", .status = "idle"}};
    struct status_view view = {.overview = {.fleet = {.now = NOW, .alive_at = NOW}},
                               .workers = workers,
                               .worker_count = 3};
    TEXT(one) = printed(&view);
    cr_expect(strstr(one, "SILENT    anna?: last heartbeat 0 s ago, holds job 7\n          Check"),
              "%s", one);
    cr_expect(strstr(one, "tailslate-verifier worker revoke NAME"), "%s", one);
    cr_expect_not(strstr(one, "SILENT    off"), "%s", one);
    for (size_t i = 1; i < 8; i++)
        workers[i] = (struct store_worker){.name = "more", .status = "offline"};
    view.worker_count = 8;
    TEXT(many) = printed(&view);
    cr_expect(strstr(many, "more: last heartbeat never\n          and 3 more:"), "%s", many);
    workers[0].status[0] = '\0';
    view.worker_count = 1;
    TEXT(none) = printed(&view);
    cr_expect_not(strstr(none, "SILENT") || strstr(none, "revoke"), "%s", none);
}

Test(status_print, says_what_waits_for_a_webhook_and_why)
{
    struct status_view view = {.overview = {.fleet = {.now = NOW, .alive_at = NOW}}};
    struct store_events waiting = {.waiting = 3,
                                   .given_up = 1,
                                   .now = NOW,
                                   .since = "2026-01-03T15:48:00.000000+00:00",
                                   .next_attempt_at = "2026-01-03T16:05:00.000000+00:00",
                                   .reason = "the receiver answered 500"};
    TEXT(without) = printed(&view);
    cr_expect_not(strstr(without, "webhook"), "%s", without);
    view.has_webhook = true;
    TEXT(calm) = printed(&view);
    cr_expect(strstr(calm, "webhook   0 waiting, 0 given up\n"), "%s", calm);
    view.events = waiting;
    TEXT(failing) = printed(&view);
    cr_expect(strstr(failing, "webhook   3 waiting, 1 given up; the oldest from 12 min ago, its "
                              "next attempt in 5 min\n          the receiver answered 500\n"),
              "%s", failing);
    view.has_webhook = false;
    TEXT(off) = printed(&view);
    cr_expect(strstr(off, "Nothing is sent: webhook.url is not set."), "%s", off);
}

Test(status_print, shows_the_last_release_however_long_ago)
{
    char none[] = "[]", released[] = "[{\"job\":9,\"detail\":\"it is idle\"}]";
    struct status_view view = {
        .overview = {.fleet = {.now = NOW, .alive_at = NOW},
                     .sweeps = {{.swept_at = NOW, .outcome = "nothing", .released = none}},
                     .sweep_count = 1,
                     .released_ever = true,
                     .last_release = {.swept_at = "2025-12-03T16:00:00.000000+00:00",
                                      .outcome = "released",
                                      .released_count = 1,
                                      .released = released}},
    };
    TEXT(text) = printed(&view);
    cr_expect(strstr(text, "31 d ago  released  9             it is idle"), "%s", text);
}

Test(status_print, lets_no_name_drive_the_terminal)
{
    struct store_job job = {.id = 1, .slug = "a\033[2Jb", .last_holder_name = "x\xc2\x9bm"};
    struct status_view view = {
        .overview = {.fleet = {.now = NOW, .alive_at = NOW}}, .running = &job, .running_count = 1};
    TEXT(text) = printed(&view);
    cr_expect_not(strchr(text, '\033'), "%s", text);
    cr_expect_not(strstr(text, "\xc2\x9b"), "%s", text);
    cr_expect(strstr(text, "a?[2Jb"), "%s", text);
}
