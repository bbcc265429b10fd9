#include "agent/api/session.h"

#include "agent/api/connect.h"
#include "agent/spool/control_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

enum {
    WAIT_SLICE_MS = 1000,
    PROGRESS_KEEP_MIN_MS = 500,
};

/* ---- progress extends the claim -------------------------------------------------------------- */

static int64_t lease_of(const struct http_answer *answer)
{
    struct error ignored;
    const char *text;
    JSON(root) = json_parse(answer->body, answer->body_size, &ignored);
    if (json_get_text(root, "claim_expires_at", WALL_TEXT_BYTES, &text) != JSON_FOUND)
        return 0;
    return http_lease_ms(answer, text);
}

static void on_progress(void *ctx, const struct http_answer *answer)
{
    struct session *session = ctx;
    session->progress_call = NULL;
    enum verdict verdict = session_judge_progress(session, answer);
    if (verdict == VERDICT_OK) {
        session->progress_failures = 0;
        session->progress_lease_ms = lease_of(answer);
        return;
    }
    int64_t delay_ms = connect_life_delay_ms(connect_backoff(session->config),
                                             session->progress_failures++, answer->retry_after_ms,
                                             random_u64());
    /* There is no claim to extend: the upload reclaims the job. */
    if (verdict == VERDICT_HOLD && session->refused_since_ms != 0)
        delay_ms = session_hold_ms(session, answer->retry_after_ms);
    session->progress_not_before_ms = mono_ms() + delay_ms;
    session->progress_changed = true;
}

/* At least once every third of the claim's duration, so that two reports may be lost. */
static int64_t extend_interval_ms(const struct session *session)
{
    int64_t third = session->progress_lease_ms / 3;
    if (third <= 0 || third > PROGRESS_MAX_MS)
        return PROGRESS_MAX_MS;
    return third < PROGRESS_KEEP_MIN_MS ? PROGRESS_KEEP_MIN_MS : third;
}

static int64_t progress_due_ms(const struct session *session)
{
    int64_t interval = extend_interval_ms(session);
    if (session->progress_changed && interval > PROGRESS_MIN_MS)
        interval = PROGRESS_MIN_MS;
    int64_t due = session->progress_sent_ms + interval;
    return due > session->progress_not_before_ms ? due : session->progress_not_before_ms;
}

static void read_claim_again(struct session *session)
{
    struct error ignored;
    struct record_claim claim;
    /* Refused: the key may have been rotated in its file. */
    if (tailslate_answer_concerns_key(session->trouble.class))
        (void)connect_renew_key(session->config, session->client, &ignored);
    /* If the claim cannot be read now, continue with the one that we know. */
    if (record_read_claim(session->dir, &claim, &ignored) == 0)
        session->claim = claim;
}

static void post_progress(struct session *session)
{
    read_claim_again(session);
    TEXT(body) = message_progress_format(&session->progress.progress);
    TEXT(path) = must_printf("/api/worker/%lld/progress", (long long)session->claim.claim.job_id);
    struct http_request request = http_post(path, body);
    request.claim_epoch = session->claim.claim.claim_epoch;
    session->progress_changed = false;
    session->progress_sent_ms = mono_ms();
    session->progress_call = http_start(session->client, &request, on_progress, session);
    /* http copies path, headers and a text body: nothing of ours is borrowed. */
}

static void write_status(struct session *session)
{
    struct error ignored;
    session->status_changed = false;
    session->status_written_ms = mono_ms();
    session->progress.updated_at_us = wall_us();
    /* Not durable: a full disk costs a progress figure, not the job. */
    (void)record_write_progress(session->dir, &session->progress, &ignored);
}

static void tick(struct session *session)
{
    int64_t now = mono_ms();
    if (!session->progress_call && session->lost == TAILSLATE_PROBLEM_NONE &&
        now >= progress_due_ms(session))
        post_progress(session);
    if (session->status_changed && now >= session->status_written_ms + STATUS_WRITE_MS)
        write_status(session);
}

void session_flush(struct session *session)
{
    while (session->progress_call)
        session_wait(session, NULL, 0, WAIT_SLICE_MS);
    if (!session->progress_changed || session->lost != TAILSLATE_PROBLEM_NONE)
        return;
    post_progress(session);
    while (session->progress_call)
        session_wait(session, NULL, 0, WAIT_SLICE_MS);
}

void session_report(struct session *session, enum work_step step, int64_t percent)
{
    struct message_progress *progress = &session->progress.progress;
    if (progress->step == step && progress->percent == percent)
        return;
    progress->step = step;
    progress->percent = percent;
    session->progress_changed = session->status_changed = true;
}

static struct message_quality_progress *find_quality(struct message_progress *progress,
                                                     enum tailslate_quality quality)
{
    for (size_t i = 0; i < progress->quality_count; i++)
        if (progress->qualities[i].quality == quality)
            return &progress->qualities[i];
    must(progress->quality_count < TAILSLATE_QUALITY_COUNT);
    struct message_quality_progress *added = &progress->qualities[progress->quality_count++];
    *added = (struct message_quality_progress){
        .quality = quality,
        .status = QUALITY_STATUS_PENDING,
        .segments_total = TAILSLATE_ABSENT_INT,
        .segments_completed = TAILSLATE_ABSENT_INT,
    };
    return added;
}

void session_report_quality(struct session *session, enum tailslate_quality quality,
                            enum quality_status status, int64_t percent, int64_t segments_completed)
{
    struct message_quality_progress *known = find_quality(&session->progress.progress, quality);
    if (known->status == status && known->percent == percent &&
        known->segments_completed == segments_completed)
        return;
    known->status = status;
    known->percent = percent;
    known->segments_completed = segments_completed;
    session->progress_changed = session->status_changed = true;
}

/* ---- an operator's pause -----------------------------------------------------------------------
 */

enum { CHECK_MS = 1000, EVENTS_BYTES = 1024 };

/* Without the directory (nobody has made a request yet) or the watch, the check once a second finds
 * it. */
static void open_subdirectory(struct session *session)
{
    struct session_control *controls = &session->controls;
    TEXT(path) = must_printf("%s/" CONTROL_DIRECTORY, session->config->node.state_dir);
    controls->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (controls->dir < 0)
        return;
    controls->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (controls->watch >= 0 &&
        inotify_add_watch(controls->watch, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) < 0) {
        close(controls->watch);
        controls->watch = -1;
    }
}

static void session_control_open(struct session *session)
{
    session->controls = (struct session_control){.dir = -1, .watch = -1};
    open_subdirectory(session);
    session->controls.is_paused = control_file_exists(session->controls.dir, CONTROL_PAUSE);
    session->controls.since_ms = session->controls.checked_ms = mono_ms();
    if (session->controls.is_paused)
        log_info("step.paused");
}

static void session_control_close(struct session *session)
{
    cleanup_fd(&session->controls.dir);
    cleanup_fd(&session->controls.watch);
    session->controls.dir = session->controls.watch = -1;
}

static void drain_events(int watch)
{
    char buffer[EVENTS_BYTES];
    while (watch >= 0 && read(watch, buffer, sizeof buffer) > 0)
        ;
}

static void session_control_check(struct session *session, bool is_event)
{
    struct session_control *controls = &session->controls;
    int64_t now_ms = mono_ms();
    if (!is_event && now_ms < controls->checked_ms + CHECK_MS)
        return;
    controls->checked_ms = now_ms;
    drain_events(controls->watch);
    if (controls->dir < 0)
        open_subdirectory(session);
    bool is_paused = control_file_exists(controls->dir, CONTROL_PAUSE);
    if (is_paused == controls->is_paused)
        return;
    if (controls->is_paused)
        controls->total_ms += now_ms - controls->since_ms;
    controls->since_ms = now_ms;
    controls->is_paused = is_paused;
    log_info(is_paused ? "step.paused" : "step.unpaused");
}

int64_t session_work_ms(const struct session *session)
{
    const struct session_control *controls = &session->controls;
    int64_t now_ms = controls->is_paused ? controls->since_ms : mono_ms();
    return now_ms - controls->total_ms;
}

void session_pause_child(const struct session *session, const struct child *child, bool *is_stopped)
{
    if (session->controls.is_paused == *is_stopped)
        return;
    *is_stopped = session->controls.is_paused;
    if (*is_stopped)
        child_pause(child);
    else
        child_unpause(child);
}

void session_await_unpause(struct session *session)
{
    while (session->controls.is_paused && session->lost == TAILSLATE_PROBLEM_NONE)
        session_wait(session, NULL, 0, CHECK_MS);
}

/* ---- calls and waiting ----------------------------------------------------------------------- */

int session_wait(struct session *session, struct http_wait_fd *fds, unsigned count,
                 int64_t timeout_ms)
{
    struct http_wait_fd all[SESSION_WAIT_FDS_MAX + 1] = {{.fd = -1}};
    unsigned own = session->controls.watch >= 0 ? 1 : 0;
    must(count <= SESSION_WAIT_FDS_MAX);
    tick(session);
    all[0] = (struct http_wait_fd){.fd = session->controls.watch, .events = POLLIN};
    for (unsigned i = 0; i < count; i++)
        all[own + i] = fds[i];
    int64_t wait_ms = timeout_ms < WAIT_SLICE_MS ? timeout_ms : WAIT_SLICE_MS;
    int ready = http_wait(session->client, all, own + count, wait_ms < 0 ? 0 : wait_ms);
    for (unsigned i = 0; i < count; i++)
        fds[i].revents = all[own + i].revents;
    bool is_event = own > 0 && all[0].revents != 0;
    session_control_check(session, is_event);
    return ready - is_event;
}

static void on_reply(void *ctx, const struct http_answer *answer)
{
    struct reply *reply = ctx;
    reply->answer = *answer;
    reply->answer.body = must_malloc(answer->body_size + 1);
    memcpy(reply->answer.body, answer->body, answer->body_size + 1);
    reply->done = true;
}

struct http_call *session_start(struct session *session, struct http_request *request,
                                struct reply *reply)
{
    read_claim_again(session);
    request->claim_epoch = session->claim.claim.claim_epoch;
    *reply = (struct reply){.done = false};
    return http_start(session->client, request, on_reply, reply);
}

void session_reply_fini(struct reply *reply)
{
    if (reply->done)
        http_answer_fini(&reply->answer);
    *reply = (struct reply){.done = false};
}

void session_perform(struct session *session, struct http_request *request, struct reply *reply)
{
    session_start(session, request, reply);
    while (!reply->done)
        session_wait(session, NULL, 0, WAIT_SLICE_MS);
}

int session_retry_until_ok(struct session *session, struct http_request *request,
                           struct reply *reply)
{
    for (unsigned attempt = 0; session->lost == TAILSLATE_PROBLEM_NONE; attempt++) {
        session_perform(session, request, reply);
        enum verdict verdict = session_judge(session, &reply->answer, EXPECT_JSON);
        if (verdict == VERDICT_OK)
            return 0;
        struct session_pause pause = session_pause_after(session, verdict, attempt, &reply->answer);
        session_reply_fini(reply);
        session_wait_backoff(session, &pause);
    }
    return -1;
}

int session_run_child(struct session *session, const struct child_options *options,
                      int64_t limit_ms, struct child_exit *how, struct error *err)
{
    struct child child = CHILD_INIT;
    bool is_stopped = false;
    session_await_unpause(session);
    if (child_spawn(options, &child, err) < 0) {
        err->class = ERROR_TEMPORARY; /* this node lacks it; the video is not at fault */
        return -1;
    }
    int64_t deadline = session_work_ms(session) + limit_ms;
    while (!child_wait(&child, 0, how)) {
        bool is_late = session_work_ms(session) >= deadline;
        session_pause_child(session, &child, &is_stopped);
        if (is_late || session->lost != TAILSLATE_PROBLEM_NONE) {
            child_stop(&child);
            return is_late
                       ? error_set(err, ERROR_TEMPORARY, ETIMEDOUT, "%s took longer than %lld s",
                                   options->argv[0], (long long)(limit_ms / 1000))
                       : error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
        }
        struct http_wait_fd watch = {.fd = child.pidfd, .events = POLLIN};
        session_wait(session, &watch, 1, WAIT_SLICE_MS);
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

int session_open(struct session *session, const struct config *config, int dir, struct error *err)
{
    *session = (struct session){.config = config, .dir = dir, .controls = {.dir = -1, .watch = -1}};
    session->progress.eta_seconds = TAILSLATE_ABSENT_INT;
    session->progress.progress = (struct message_progress){
        .percent = TAILSLATE_ABSENT_INT,
        .duration = TAILSLATE_ABSENT_NUMBER,
        .source_width = TAILSLATE_ABSENT_INT,
        .source_height = TAILSLATE_ABSENT_INT,
    };
    if (record_read_claim(dir, &session->claim, err) < 0)
        return -1;
    if (http_global_init(err) < 0)
        return -1;
    session->client = connect_client(config, err);
    if (!session->client)
        return -1;
    session_control_open(session);
    return 0;
}

void session_close(struct session *session)
{
    if (session->client)
        http_client_free(session->client);
    session->client = NULL;
    session_control_close(session);
}
