/* Bodies, tokens and names as an attacker writes them: refused with a code, nothing committed, and
 * no line of the log that he wrote. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "raw.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- JSON ---- */

struct body {
    const char *before, *filler, *behind;
    int repeats;
    const char *code; /* NULL: any of ours */
};

#define FORM  "\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\""
#define Q360  "\"qualities\":[{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600}]"
#define UUID  "11111111-1111-4111-8111-111111111111"
#define TOKEN "\"completion_token\":\"1-" UUID "\""
#define WITH(member)                                                                               \
    {                                                                                              \
        "{" Q360 "," FORM "," member "}", "", "", 0, NULL                                          \
    }

static const struct body bodies[] = {
    {"{\"qualities\":", "[", "", 100000, "bad_json"},
    {"", "{\"a\":", "", 40000, "bad_json"},
    {"", "[", "", 200000, "bad_json"},
    {"{\"a\":\"", "\\\\", "\"}", 100000, NULL},
    {"{\"a\":[", "0,", "0]}", 100000, NULL},
    {"{\"a\":", "9", "}", 100000, NULL},
    {"{\"a\":0.", "0", "1}", 100000, NULL},
    {"{\"a\":1e", "9", "}", 1000, NULL},
    {"", " ", "", 200000, "bad_json"},
    {"", "", "", 0, NULL},
    {"null", "", "", 0, NULL},
    {"[]", "", "", 0, NULL},
    {"\xef\xbb\xbf{" Q360 "}", "", "", 0, "bad_json"},
    {"{" Q360 "} x", "", "", 0, "bad_json"},
    {"{" Q360 "}{" Q360 "}", "", "", 0, "bad_json"},
    WITH(TOKEN "," TOKEN),
    WITH("\"duration\":1,\"duration\":2"),
    WITH("\"duration\":1e400"),
    WITH("\"duration\":-1e400"),
    WITH("\"duration\":-0.001"),
    WITH("\"duration\":NaN"),
    WITH("\"duration\":Infinity"),
    WITH("\"duration\":0x10"),
    WITH("\"duration\":1."),
    WITH("\"duration\":+1"),
    WITH("\"duration\":\"1\""),
    WITH("\"source_width\":1000000000000000000000000000000"),
    WITH("\"source_width\":4294967297"),
    WITH("\"source_width\":1.5"),
    WITH("\"source_width\":-0"),
    WITH("\"completion_token\":\"\""),
    WITH("\"completion_token\":\"1-" UUID "\\u0000\""),
    WITH("\"completion_token\":\"1-" UUID "\\r\\nX-Evil: 1\""),
    WITH("\"completion_token\":\"1-" UUID "\\n\""),
    WITH("\"completion_token\":\" 1-" UUID "\""),
    WITH("\"completion_token\":\"01-" UUID "\""),
    WITH("\"completion_token\":\"+1-" UUID "\""),
    WITH("\"completion_token\":\"1-11111111-1111-1111-8111-111111111111\""),
    WITH("\"completion_token\":\"1-11111111-1111-4111-c111-111111111111\""),
    WITH("\"completion_token\":\"99999999999999999999-" UUID "\""),
    WITH("\"completion_token\":\"2-" UUID "\""),
    WITH("\"completion_token\":\"1-\xc0\xb1\""),
    WITH("\"completion_token\":\"1-\xef\xbc\x91\""),
    WITH("\"completion_token\":[\"1-" UUID "\"]"),
    WITH("\"completion_token\":1"),
    {"{\"qualities\":[{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600},"
     "{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":600}]," FORM "}",
     "", "", 0, NULL},
    {"{\"qualities\":[{\"name\":\"../360p\",\"width\":640,\"height\":360,\"bitrate\":600}]," FORM
     "}",
     "", "", 0, NULL},
    {"{\"qualities\":[{\"name\":\"360p\\u0000\",\"width\":640,\"height\":360,\"bitrate\":600}]"
     "," FORM "}",
     "", "", 0, NULL},
    {"{\"qualities\":[{\"name\":\"360p\",\"width\":640,\"height\":360,\"bitrate\":1e30}]," FORM "}",
     "", "", 0, NULL},
    {"{\"qualities\":[{\"name\":\"360p\",\"width\":65536,\"height\":360,\"bitrate\":1}]," FORM "}",
     "", "", 0, NULL},
};

static char *make_body(const struct body *body)
{
    size_t piece = strlen(body->filler), before = strlen(body->before);
    size_t filled = piece * (size_t)body->repeats;
    char *text = must_malloc(before + filled + strlen(body->behind) + 1);
    memcpy(text, body->before, before);
    for (int i = 0; i < body->repeats; i++)
        memcpy(text + before + (size_t)i * piece, body->filler, piece);
    memcpy(text + before + filled, body->behind, strlen(body->behind) + 1);
    return text;
}

Test(attack_text, bodies_full_of_tricks_are_refused_with_a_code, .timeout = 180)
{
    static const char *const calls[] = {"complete", "progress", "fail"};
    struct scene scene = scene_uploaded();
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        TEXT(body) = make_body(&bodies[i]);
        for (size_t call = 0; call < (bodies[i].code ? 3 : 1); call++) {
            REPLY(reply) = scene_call(&scene, calls[call], body);
            cr_expect(reply.status >= 400 && reply.status < 500 && *reply_text(&reply, "code"),
                      "%s %.120s: %ld %s", calls[call], body, reply.status, reply.body);
            if (bodies[i].code)
                cr_expect_str_eq(reply_text(&reply, "code"), bodies[i].code, "%s %.120s",
                                 calls[call], body);
        }
    }
    cr_assert_eq(inspect_int(scene.rig, "SELECT count(*) FROM completions"), 0);
    cr_assert_eq(inspect_int(scene.rig, "SELECT attempt_number FROM transcoding_jobs"), 1);
    REPLY(good) = worker_complete(&scene.worker, scene.token);
    reply_is(&good, 200, NULL);
    log_is_whole(scene.rig);
    rig_end(scene.rig);
}

/* ---- the log ---- */

/* What would be an event of its own, if anything of it began a line. */
#define FORGED "time=2026-01-01T00:00:00.000Z level=info event=completion.committed job=666"

static void send_raw(const struct scene *scene, const char *format, const char *what)
{
    char answer[8192];
    TEXT(request) = must_printf("%s", format);
    const char *mark = strchr(request, '@');
    TEXT(whole) = must_printf("%.*s%s%s", (int)(mark - request), request, what, mark + 1);
    raw_status(scene->rig, whole, strlen(whole), answer, sizeof answer);
    cr_assert_not(strstr(answer, "\r\nX-Evil"), "a header was forged: %s", answer);
}

static const char *const lines[] = {
    "GET /@ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /healthz?@ HTTP/1.1\r\nHost: x\r\n\r\n",
    "@ /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Request-ID: @\r\n\r\n",
    "GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r\n @\r\n\r\n",
    "POST /api/worker/claim HTTP/1.1\r\nHost: x\r\nX-Worker-API-Key: @\r\n\r\n",
    "POST /api/worker/claim HTTP/1.1\r\nHost: x\r\nX-Claim-Epoch: @\r\n\r\n",
};
static const char *const poisons[] = {
    "%0d%0a" FORGED,
    "%0aX-Evil:1",
    "\n" FORGED,
    "\r" FORGED,
    "\x01\x02\x7f\x1b[2J" FORGED,
    "%1b[2J%00%c0%8a%e2%80%a8" FORGED,
    "\xc0\x8a\xe2\x80\xa8\xc2\x85" FORGED,
    "\"} " FORGED,
    "\\\" " FORGED,
};

/* The rig knows only text logs; whether it serves, it can be asked. */
static void start_verifier(struct rig *rig)
{
    enum { STARTS_WITHIN_MS = 20 * 1000 };
    RUN(written) = rig_verifier(rig, (const char *[]){"worker", "list", NULL});
    TEXT(config) = rig_path(rig, "verifier.cfg");
    TEXT(log) = rig_path(rig, "verifier.%d.log", ++rig->verifier_lives);
    TEXT(url) = must_printf("http://127.0.0.1:%d/healthz", rig->port);
    rig->verifier = process_start((const char *[]){TAILSLATE_VERIFIER, "-c", config, "serve", NULL},
                                  (const char *const *)rig->env, log, NULL);
    int64_t until_ms = mono_ms() + STARTS_WITHIN_MS;
    for (long status = 0; status != 200;) {
        cr_assert_lt(mono_ms(), until_ms, "it does not start");
        REPLY(reply) = call_make(&(struct call){.url = url});
        status = reply.status;
    }
}

static void poison_log(const char *format)
{
    struct scene scene = {.rig = rig_new()};
    rig_verifier_set(scene.rig, "log.format", format);
    rig_verifier_set(scene.rig, "log.level", "\"debug\"");
    start_verifier(scene.rig);
    scene.worker = worker_new(scene.rig, "alice");
    scene.job = rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    cr_assert(worker_claim(&scene.worker));
    for (size_t l = 0; l < sizeof lines / sizeof *lines; l++)
        for (size_t p = 0; p < sizeof poisons / sizeof *poisons; p++)
            send_raw(&scene, lines[l], poisons[p]);
    REPLY(made) = admin_call(scene.rig, "/api/worker/register",
                             "{\"worker_name\":\"eve\\n" FORGED "\\u001b[2J\"}");
    cr_assert(made.status == 200 || made.status == 422, "%ld", made.status);
    REPLY(token) = scene_call(&scene, "complete",
                              "{" Q360 "," FORM ",\"completion_token\":\"1-\\n" FORGED "\"}");
    reply_is(&token, 422, NULL);
    REPLY(failed) = scene_call(&scene, "fail",
                               "{\"error_message\":\"bad\\r\\n" FORGED "\\u001b[2J\"}");
    reply_is(&failed, 200, NULL);
    log_is_whole(scene.rig);
    TEXT(log) = file_read(scene.rig->verifier->log);
    cr_assert_not(strstr(log, "\n" FORGED));
    cr_assert(strstr(log, "666"), "the attack was none");
    rig_end(scene.rig);
}

Test(attack_text, no_name_or_header_writes_a_line_of_the_log, .timeout = 120)
{
    poison_log("\"text\"");
}

Test(attack_text, nor_one_of_the_log_in_json, .timeout = 120)
{
    poison_log("\"json\"");
}
