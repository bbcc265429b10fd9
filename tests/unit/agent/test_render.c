/* `status` and `spool ls` on terminals of three widths. */
#include "agent/cli/render.h"
#include "base/text.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>

#define SLUG   "a-film-with-a-name-that-is-longer-than-a-narrow-terminal"
#define REASON "映画館: the server can\\u001b[2Jnot be reached: e\xcc\x81t\xc3\xa9 \xf0\x9f\x8e\xac"

static const char node[] =
    "{\"running\":true,\"node\":\"node-with-a-name-of-some-length.example.net\",\"disk_free_"
    "bytes\":"
    "123456789012,\"paused\":true,\"foreign\":2,\"jobs\":["
    "{\"record\":\"123456.12\",\"job\":123456,\"state\":\"claimed\",\"step_running\":true,"
    "\"slug\":\"" SLUG "\",\"token\":\"123456-4f9c1b7e-8a51\",\"claimed_at\":"
    "\"2026-01-03T16:28:00.000000+00:00\",\"size_bytes\":123456789,\"step\":\"upload\","
    "\"percent\":50,\"speed\":1.5,\"eta_seconds\":3723,\"qualities\":[{\"name\":\"1080p\","
    "\"status\":\"in_progress\",\"percent\":40,\"segments_uploaded\":12}]},"
    "{\"record\":\"7.1\",\"job\":7,\"state\":\"sealed\",\"slug\":\"b\",\"attempts\":3,"
    "\"next_attempt_at\":\"2999-01-03T16:28:00.000000+00:00\",\"held\":true,\"refused_since\":"
    "\"2026-01-03T16:28:00.000000+00:00\",\"refused_reason\":\"the video was changed\","
    "\"warnings\":[\"the sound of the source ends before its pictures do, after 12 s\"],"
    "\"waiting\":{\"reason\":\"" REASON "\",\"hint\":\"check that the verifier is running\"}},"
    "{\"record\":\"8.1\",\"job\":8,\"state\":\"wrong\",\"problem\":\"claim.json: not JSON\"}],"
    "\"kept\":[{\"record\":\"9.1\",\"job\":9,\"reason\":\"superseded by another worker\"}],"
    "\"agent\":{\"pid\":77,\"version\":\"1.0.0\",\"slots\":2,\"slots_held\":1,\"server\":{\"url\":"
    "\"https://video-server.example.net:8443\",\"state\":\"unreached\",\"reason\":\"no route\"},"
    "\"waiting\":{\"reason\":\"the server cannot be reached\"},"
    "\"encoder\":{\"codec\":\"h264\",\"name\":\"libx264\",\"kind\":\"software\"},"
    "\"finals\":[{\"job\":5,\"outcome\":\"completed\",\"at\":\"2026-01-03T16:28:00.000000+00:00\"}]"
    ","
    "\"failures\":[{\"job\":6,\"reason\":\"ffmpeg ended with status 1\",\"at\":"
    "\"2026-01-03T16:28:00.000000+00:00\"}]}}";

typedef void renderer(FILE *out, const struct view *view, int columns);

static char *rendered(renderer *render, int columns)
{
    static struct config config;
    struct error err;
    char *text = NULL;
    size_t size = 0;
    snprintf(config.node.state_dir, sizeof config.node.state_dir, "/var/lib/tailslate-agent");
    struct view view = {.config = &config, .root = json_parse(node, strlen(node), &err)};
    cr_assert(view.root, "%s", err.message);
    FILE *out = open_memstream(&text, &size);
    render(out, &view, columns);
    fclose(out);
    json_free(view.root);
    return text;
}

static bool fits(const char *text, int columns)
{
    for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        TEXT(line) = must_printf("%.*s", (int)strcspn(at, "\n"), at);
        if (text_width(line) > columns)
            return false;
    }
    return !strchr(text, '\x1b');
}

/* Without what only wraps it. */
static char *joined(const char *text)
{
    char *all = must_strdup(text), *to = all;
    for (const char *at = text; *at; at++)
        if (*at != '\n' && *at != ' ')
            *to++ = *at;
    *to = '\0';
    return all;
}

/* The first of the words, which end with NULL, that is not there. */
static const char *missing(const char *text, const char *const words[])
{
    TEXT(all) = joined(text);
    for (; *words; words++)
        if (!strstr(all, *words))
            return *words;
    return NULL;
}

static void says(renderer *render, const char *const words[])
{
    static const int widths[] = {40, 80, 120};
    for (size_t i = 0; i < 3; i++) {
        TEXT(text) = rendered(render, widths[i]);
        const char *lost = missing(text, words);
        cr_expect(fits(text, widths[i]) && !lost, "%d: no %s in\n%s", widths[i],
                  lost ? lost : "fit", text);
    }
}

Test(render, status_fits_and_says_everything_at_each_width)
{
    static const char *const words[] = {"node-with-a-name-of-some-length.example.net",
                                        "pid77",
                                        "video-server.example.net:8443",
                                        "1of2inuse",
                                        "unpause",
                                        "libx264",
                                        "123456.12",
                                        "claimed",
                                        "[########--------]50%upload",
                                        "1.5x",
                                        "1:02:03left",
                                        SLUG,
                                        "12segmentsuploaded",
                                        "attempt4,HELD,",
                                        "spoolretry7.1",
                                        "映画館",
                                        "checkthattheverifierisrunning",
                                        "after12s",
                                        "PROBLEM:claim.json:notJSON",
                                        "3inthespool,1kept",
                                        "job5completed",
                                        "job6:ffmpegendedwithstatus1",
                                        NULL};
    says(render_status, words);
}

Test(render, spool_ls_fits_and_says_everything_at_each_width)
{
    static const char *const words[] = {"123456.12",
                                        "claimed",
                                        "4f9c1b7e",
                                        "123MB",
                                        SLUG,
                                        "7.1",
                                        "sealed",
                                        "映画館",
                                        "checkthattheverifierisrunning",
                                        "claim.json:notJSON",
                                        "kept",
                                        "supersededbyanotherworker",
                                        "nodewaits:theservercannotbereached",
                                        NULL};
    says(render_spool, words);
}

Test(render, a_row_of_a_terminal_of_80_columns_is_one_line_where_its_name_is_short)
{
    TEXT(text) = rendered(render_spool, 80);
    cr_expect(strstr(text, "JOB     RECORD     STATE    TOKEN"), "%s", text);
    cr_expect(strstr(text, "NEXT"), "%s", text);
}
