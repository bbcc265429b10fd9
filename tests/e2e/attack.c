/* HTTP as an attacker speaks it. Every attack has bounds: what the well-behaved client feels, how
 * much memory and how many threads it costs, and that the log stays one event a line. */
#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "raw.h"

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_BYTES = 16 * 1024 };

/* ---- heads that are none ---- */

struct head {
    const char *text, *filler; /* where the text says @, the filler is repeated */
    size_t repeats;
    int status, or_status; /* 0: closed without an answer */
};

#define CLAIM "POST /api/worker/claim HTTP/1.1\r\nHost: x\r\n"
static const struct head heads[] = {
    {"GET /@ HTTP/1.1\r\nHost: x\r\n\r\n", "a", 40000, 414, 414},
    {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: @\r\n\r\n", "a", 10 << 20, 431, 0},
    {"GET /healthz HTTP/1.1\r\nHost: x\r\n@\r\n", "X: y\r\n", 100000, 431, 0},
    /* Arguments for which there is no memory: libmicrohttpd 1.0 says so, 0.9.75 closes. */
    {"GET /healthz?@ HTTP/1.1\r\nHost: x\r\n\r\n", "a=b&", 1500, 431, 0},
    {"GET /@ HTTP/1.1\r\nHost: x\r\n\r\n", "a/", 5000, 404, 414},
    {"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n", "", 0, 505, 400},
    {"GET /healthz\r\n\r\n", "", 0, 400, 400},
    {"@", "\r\n", 1 << 20, 414, 400},
    {"@", "\x16\x03\x01", 1 << 16, 414, 400},
    {"GET /healthz HTTP/1.1\r\n\r\n", "", 0, 400, 400},
    {CLAIM "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", "", 0, 400, 400},
    {CLAIM "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", "", 0, 400, 400},
    {CLAIM "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 0, 400, 400},
    {CLAIM "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 0, 400,
     400},
    {CLAIM "Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", "", 0, 400, 400},
    {CLAIM "Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", "", 0, 400, 400},
    {CLAIM "Content-Length:\r\n 4\r\n\r\nabcd", "", 0, 400, 400},
    {CLAIM "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "", 0, 400, 400},
    {CLAIM "Transfer-Encoding: \x0b"
           "chunked\r\n\r\n0\r\n\r\n",
     "", 0, 400, 400},
    {CLAIM "Content-Length: +4\r\n\r\nabcd", "", 0, 400, 400},
    {CLAIM "Content-Length: -1\r\n\r\nabcd", "", 0, 400, 400},
    {CLAIM "Content-Length: 0x4\r\n\r\nabcd", "", 0, 400, 400},
    {CLAIM "Content-Length: 4, 4\r\n\r\nabcd", "", 0, 400, 400},
    {CLAIM "Content-Length: 99999999999999999999999\r\n\r\nabcd", "", 0, 413, 400},
    {CLAIM "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", "", 0, 400, 400},
    {CLAIM "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc", "", 0, 400, 400},
    {CLAIM "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc", "", 0, 413, 400},
    {CLAIM "Transfer-Encoding: chunked\r\n\r\n1;@\r\na\r\n0\r\n\r\n", "e", 1 << 20, 500, 413},
    {CLAIM "X-Claim-Epoch: 99999999999999999999\r\nContent-Length: 0\r\n\r\n", "", 0, 401, 422},
    {"DELETE /api/worker/claim HTTP/1.1\r\nHost: x\r\n\r\n", "", 0, 405, 405},
    {"@ /api/worker/claim HTTP/1.1\r\nHost: x\r\n\r\n", "M", 10000, 405, 400},
    {"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "", 0, 404, 422},
    {"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "", 0, 404, 404},
    {"GET /healthz%00x HTTP/1.1\r\nHost: x\r\n\r\n", "", 0, 422, 404},
};

/* Owned; *size bytes. */
static char *make_head(const struct head *head, size_t *size)
{
    const char *mark = strchr(head->text, '@');
    size_t before = mark ? (size_t)(mark - head->text) : strlen(head->text);
    size_t piece = strlen(head->filler), filled = mark ? piece * head->repeats : 0;
    const char *behind = mark ? mark + 1 : "";
    char *text = must_malloc(before + filled + strlen(behind) + 1);
    memcpy(text, head->text, before);
    for (size_t i = 0; mark && i < head->repeats; i++)
        memcpy(text + before + i * piece, head->filler, piece);
    memcpy(text + before + filled, behind, strlen(behind) + 1);
    *size = before + filled + strlen(behind);
    return text;
}

Test(attack, heads_that_are_none_are_refused_and_cost_nothing, .timeout = 240)
{
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    char answer[ANSWER_BYTES];
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        const struct head *head = &heads[i];
        size_t size;
        TEXT(text) = make_head(head, &size);
        int status = raw_status(scene.rig, text, size, answer, sizeof answer);
        /* A reset may overtake the answer to what is sent on. */
        bool is_lost = status == 0 && size > 64 * 1024;
        cr_expect(is_lost || status == head->status || status == head->or_status,
                  "%.70s: %d, wanted %d: %.100s", head->text, status, head->status, answer);
    }
    watch_end_well(&scene, watch);
}

/* ---- heads of which two servers would see different things ---- */

struct odd_head {
    const char *text;
    size_t size;
    bool or_closed; /* libmicrohttpd 1.0 says nothing to a NUL in the first line */
};
#define ODD(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1, false                                                              \
    }
#define FIRST_LINE(text)                                                                           \
    {                                                                                              \
        text "\r\nHost: x\r\n\r\n", sizeof(text "\r\nHost: x\r\n\r\n") - 1, true                   \
    }
#define HEALTH               "GET /healthz HTTP/1.1\r\nHost: x\r\n"
#define TWICE(header, other) ODD(HEALTH header ": 1\r\n" other ": 1\r\n\r\n")

static const struct odd_head odd_heads[] = {
    TWICE("X-Worker-API-Key", "X-Worker-API-Key"),
    TWICE("X-Worker-API-Key", "x-worker-api-KEY"),
    TWICE("X-Claim-Epoch", "X-Claim-Epoch"),
    TWICE("X-Admin-Secret", "X-Admin-Secret"),
    TWICE("Idempotency-Key", "Idempotency-Key"),
    TWICE("X-Content-SHA256", "X-Content-SHA256"),
    TWICE("X-Request-ID", "X-Request-ID"),
    TWICE("X-Real-IP", "X-Real-IP"),
    TWICE("Content-Type", "Content-Type"),
    TWICE("Range", "Range"),
    TWICE("If-Range", "If-Range"),
    ODD(HEALTH "Host: x\r\n\r\n"),
    /* A NUL: in a value, at its end, in a name, for a whole line, in the first line. */
    ODD(HEALTH "X-Worker-API-Key: a\0b\r\nX-Other: 1\r\n\r\n"),
    ODD(HEALTH "X-Worker-API-Key: a\0b\r\n\r\n"),
    ODD(HEALTH "X-Worker-API-Key: a\0\r\nX-Other: 1\r\n\r\n"),
    ODD(HEALTH "X-Worker-API-Key: a\0\r\n\r\n"),
    ODD(HEALTH "X-Wor\0ker: a\r\n\r\n"),
    ODD(HEALTH "\0X-Worker-API-Key: a\r\n\r\n"),
    ODD(HEALTH "\0\r\n\r\n"),
    FIRST_LINE("GET /healthz HTTP/1.1\0"),
    FIRST_LINE("GET /healthz\0 HTTP/1.1"),
    /* A bare LF: behind the first line, behind a header, behind the last, for the empty line. */
    ODD("GET /healthz HTTP/1.1\nHost: x\r\n\r\n"),
    ODD("GET /healthz HTTP/1.1\r\nHost: x\nX-Other: 1\r\n\r\n"),
    ODD("GET /healthz HTTP/1.1\r\nHost: x\n\r\n"),
    ODD("GET /healthz HTTP/1.1\r\nHost: x\r\n\n"),
    ODD("GET /healthz HTTP/1.1\nHost: x\n\n"),
    ODD(HEALTH "X-Other: a\nX-Worker-API-Key: b\r\n\r\n"),
    /* A bare CR, and folded lines. */
    ODD(HEALTH "X-Other: a\rX-Worker-API-Key: b\r\n\r\n"),
    ODD(HEALTH "X-Other: a\r\n b\r\n\r\n"),
    ODD(HEALTH "X-Other:\r\n\tb\r\nX-More: c\r\n\r\n"),
    ODD(HEALTH " X-Other: a\r\n\r\n"),
};

Test(attack, heads_that_two_servers_read_in_two_ways_are_refused, .timeout = 120)
{
    struct scene scene = scene_idle();
    char answer[ANSWER_BYTES];
    for (size_t i = 0; i < sizeof odd_heads / sizeof *odd_heads; i++) {
        int status = raw_status(scene.rig, odd_heads[i].text, odd_heads[i].size, answer,
                                sizeof answer);
        cr_expect(status == 400 || (status == 0 && odd_heads[i].or_closed), "%zu %.80s: %d %.60s",
                  i, odd_heads[i].text, status, answer);
    }
    log_is_whole(scene.rig);
    rig_end(scene.rig);
}

/* Well-formed ones, however large and however many on one connection. */
Test(attack, heads_that_are_right_are_taken)
{
    enum { FILLER = 8 * 1024, REQUESTS = 3 };
    struct scene scene = scene_idle();
    char answer[ANSWER_BYTES];
    static const char *const taken[] = {
        HEALTH "\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
        "\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        HEALTH "Accept: a\r\nAccept: b\r\nVia: c\r\nVia: d\r\n\r\n",
        HEALTH "X-Empty:\r\nX-Blank:   \r\nX-Behind: a  \r\nX-Colon: a:b: c\r\n\r\n",
        HEALTH "X-Worker-API-Key: a\r\nCookie: a=b; c=d\r\n\r\n",
        "GET /healthz?a=b&c&d=%20e HTTP/1.1\r\nHost: x\r\nX-Last:\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        int status = raw_status(scene.rig, taken[i], strlen(taken[i]), answer, sizeof answer);
        cr_expect_eq(status, 200, "%.80s: %d %.60s", taken[i], status, answer);
    }
    TEXT(filler) = must_calloc(1, FILLER + 1);
    memset(filler, 'x', FILLER);
    TEXT(large) = must_printf(HEALTH "X-Before: a\r\nX-Large: %s\r\nX-Behind: b\r\n\r\n", filler);
    int fd = raw_connect(scene.rig, 2);
    for (int i = 0; i < REQUESTS; i++)
        cr_assert(raw_send_text(fd, large));
    cr_assert(raw_send_text(fd, HEALTH "Connection: close\r\n\r\n"));
    raw_read(fd, answer, sizeof answer, RAW_QUIET_MS);
    int good = 0;
    for (const char *at = answer; (at = strstr(at, "HTTP/1.1 200")); at++)
        good++;
    cr_expect_eq(good, REQUESTS + 1, "%s", answer);
    close(fd);
    rig_end(scene.rig);
}

Test(attack, a_refused_framing_ends_the_connection)
{
    struct scene scene = scene_idle();
    char answer[ANSWER_BYTES];
    static const char smuggled[] = CLAIM
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = raw_connect(scene.rig, 2);
    cr_assert(raw_send_text(fd, smuggled));
    raw_read(fd, answer, sizeof answer, RAW_QUIET_MS);
    cr_assert(strstr(answer, "HTTP/1.1 400"), "%s", answer);
    cr_assert_not(strstr(answer, "HTTP/1.1 200"), "the body was taken for a request: %s", answer);
    cr_assert(raw_is_closed(fd));
    close(fd);
    rig_end(scene.rig);
}

/* The library forgets to say that such a request is over. */
Test(attack, requests_that_the_library_gives_up_leave_nothing_behind)
{
    struct scene scene = scene_idle();
    struct head arguments = {"GET /healthz?@ HTTP/1.1\r\nHost: x\r\n\r\n", "a=b&", 1500, 0, 0};
    char answer[ANSWER_BYTES];
    size_t size;
    TEXT(text) = make_head(&arguments, &size);
    for (int i = 0; i < 20; i++)
        raw_status(scene.rig, text, size, answer, sizeof answer);
    int64_t started_ms = mono_ms();
    cr_assert_eq(rig_stop_verifier(scene.rig), 0);
    cr_assert_lt(mono_ms() - started_ms, 3500, "it waited for requests that are long over");
    TEXT(log) = rig_path(scene.rig, "verifier.1.log");
    cr_assert(log_find(log, "event=verifier.stopped quiet=1", NULL));
    rig_end(scene.rig);
}

/* ---- a connection and what goes over it ---- */

Test(attack, one_byte_chunks_are_a_body_like_any_other, .timeout = 120)
{
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    char answer[ANSWER_BYTES];
    TEXT(head) = must_printf("POST /api/worker/heartbeat HTTP/1.1\r\nHost: x\r\n"
                             "X-Worker-API-Key: %s\r\nConnection: close\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n",
                             scene.worker.key);
    TEXT(body) = must_printf("{\"status\":\"idle\"%20000s}", "");
    for (int round = 0; round < 5; round++) {
        int fd = raw_connect(scene.rig, 2);
        cr_assert(raw_send_text(fd, head));
        for (const char *at = body; *at; at++) {
            char chunk[] = "1\r\n?\r\n";
            chunk[3] = *at;
            cr_assert(raw_send_text(fd, chunk));
        }
        cr_assert(raw_send_text(fd, "0\r\n\r\n"));
        raw_read(fd, answer, sizeof answer, RAW_QUIET_MS);
        cr_assert(strstr(answer, "HTTP/1.1 200"), "%s", answer);
        close(fd);
    }
    watch_end_well(&scene, watch);
}

Test(attack, pipelined_requests_are_answered_one_by_one)
{
    enum { REQUESTS = 500 };
    struct scene scene = scene_idle();
    char *answer = must_malloc(1 << 20);
    int fd = raw_connect(scene.rig, 2), count = 0;
    for (int i = 0; i < REQUESTS; i++)
        cr_assert(raw_send_text(fd, i < REQUESTS - 1 ? "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                                                     : "GET /healthz HTTP/1.1\r\nHost: x\r\n"
                                                       "Connection: close\r\n\r\n"));
    raw_read(fd, answer, 1 << 20, RAW_QUIET_MS);
    for (const char *at = answer; (at = strstr(at, "HTTP/1.1 200")); at++)
        count++;
    cr_assert_eq(count, REQUESTS);
    free(answer);
    close(fd);
    rig_end(scene.rig);
}

Test(attack, who_expects_100_is_refused_before_its_body)
{
    struct scene scene = scene_idle();
    char answer[ANSWER_BYTES];
    int fd = raw_connect(scene.rig, 2);
    cr_assert(raw_send_text(fd, "POST /api/worker/upload/1/quality/360p HTTP/1.1\r\nHost: x\r\n"
                                "Expect: 100-continue\r\nContent-Length: 60000000000\r\n\r\n"));
    raw_read(fd, answer, sizeof answer, RAW_QUIET_MS);
    cr_assert(strstr(answer, "HTTP/1.1 401"), "%s", answer);
    cr_assert_not(strstr(answer, "100 Continue"), "%s", answer);
    close(fd);
    rig_end(scene.rig);
}

Test(attack, a_claim_is_not_given_to_a_half_closed_connection)
{
    struct scene scene = scene_idle();
    char answer[ANSWER_BYTES];
    TEXT(ask) = must_printf("POST /api/worker/claim?wait=30 HTTP/1.1\r\nHost: x\r\n"
                            "X-Worker-API-Key: %s\r\nContent-Length: 0\r\n\r\n",
                            scene.worker.key);
    int64_t started_ms = mono_ms();
    raw_status(scene.rig, ask, strlen(ask), answer, sizeof answer);
    cr_assert_lt(mono_ms() - started_ms, 15 * 1000);
    rig_add_job(scene.rig, media_clip(MEDIA_TINY), "film");
    cr_assert_eq(inspect_int(scene.rig, "SELECT count(*) FROM transcoding_jobs WHERE claimed_at "
                                        "NOT NULL"),
                 0);
    rig_end(scene.rig);
}

/* ---- forms ---- */

static int send_form(const struct scene *scene, const char *type, const char *body, size_t size)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/api/worker/upload/%lld/finalize", scene->rig->port,
                            (long long)scene->worker.video);
    TEXT(key) = must_printf("X-Worker-API-Key: %s", scene->worker.key);
    TEXT(kind) = must_printf("Content-Type: %s", type);
    REPLY(reply) = call_make(
        &(struct call){.url = url, .body = body, .body_size = size, .headers = {key, kind}});
    return (int)reply.status;
}

Test(attack, forms_without_end_are_refused_and_kept_nowhere, .timeout = 180)
{
    enum { HUGE_BYTES = 30 << 20 };
    struct watch *watch;
    struct scene scene = watch_scene(&watch);
    char *huge = must_malloc(HUGE_BYTES + 1);
    memset(huge, 'a', HUGE_BYTES);
    huge[HUGE_BYTES] = '\0';
    TEXT(boundary) = must_printf("multipart/form-data; boundary=%.20000s", huge);
    struct {
        const char *type, *before, *behind;
    } forms[] = {
        {"multipart/form-data; boundary=b", "", "\r\n--b--"},
        {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"", "\""},
        {"multipart/form-data; boundary=b", "--b\r\nX-Y: ", "\r\n\r\n--b--"},
        {"multipart/form-data; boundary=b",
         "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n", "\r\n--b--"},
        {"multipart/form-data", "", ""},
        {"multipart/form-data; boundary=", "", ""},
        {boundary, "", ""},
        {"text/plain", "", ""},
        {"application/x-www-form-urlencoded", "file=", ""},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        TEXT(body) = must_printf("%s%s%s", forms[i].before, huge, forms[i].behind);
        int status = send_form(&scene, forms[i].type, body, strlen(body));
        cr_expect(status >= 400 && status < 500, "%zu: %d", i, status);
    }
    free(huge);
    watch_end_well(&scene, watch);
}
