#include "agent/cli/operate.h"

#include "agent/daemon/status.h"
#include "agent/spool/spool.h"
#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

struct operation {
    const struct config *config;
    struct spool spool;
    bool is_running; /* an agent */
    pid_t agent;
};

static int fail(const struct error *err, int status)
{
    fprintf(stderr, "tailslate-agent: %s\n", err->message);
    return status;
}

static int fail_by_class(const struct error *err)
{
    return fail(err, error_exit_status(err));
}

static int begin(struct operation *operation, const struct config *config)
{
    struct error err;
    *operation = (struct operation){.config = config, .spool = SPOOL_INIT};
    if (spool_open(config->node.state_dir, SPOOL_READ, &operation->spool, &err) != 0)
        return err.code == ENOENT ? fail(&err, EX_UNAVAILABLE) : fail_by_class(&err);
    operation->is_running = spool_is_owned(&operation->spool, &operation->agent);
    return 0;
}

static void end(struct operation *operation)
{
    spool_close(&operation->spool);
}

/* ---- waiting for the agent ------------------------------------------------------------------- */

typedef bool done_test(const struct operation *operation, const void *ctx);

static bool await(const struct operation *operation, done_test *is_done, const void *ctx)
{
    const struct timespec pause = {.tv_nsec = OPERATE_CHECK_MS * 1000000L};
    int64_t until_ms = mono_ms() + OPERATE_WAIT_MS;
    while (!is_done(operation, ctx)) {
        if (mono_ms() >= until_ms)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

struct published {
    const char *key;
    bool wanted;
};

static bool is_published(const struct operation *operation, const void *ctx)
{
    const struct published *published = ctx;
    bool value = !published->wanted;
    JSON(root) = status_read(operation->spool.state_dir);
    return json_get_bool(root, published->key, &value) == JSON_FOUND && value == published->wanted;
}

static int not_yet(const struct operation *operation)
{
    fprintf(stderr,
            "tailslate-agent: the agent (pid %d) has not reacted within %d s; the request "
            "stands\n",
            (int)operation->agent, OPERATE_WAIT_MS / 1000);
    return EX_TEMPFAIL;
}

/* ---- the node -------------------------------------------------------------------------------- */

struct counts {
    unsigned at_work, waiting, moving; /* moving: transcoders that are not suspended yet */
};

static void count_record(const struct operation *operation, const char *id, struct counts *counts)
{
    struct error ignored;
    enum job_state state;
    struct process_identity transcoder;
    FD(dir) = spool_open_record(operation->spool.live, id, &ignored);
    if (dir < 0 || record_state(dir, &state, &ignored) != 0)
        return;
    counts->at_work += job_need(state) == JOB_NEEDS_STEP;
    counts->waiting += job_need(state) == JOB_NEEDS_COURIER;
    if (state == JOB_CLAIMED &&
        record_read_identity(dir, "transcoder", &transcoder, &ignored) == 0 &&
        process_identity_moves(&transcoder))
        counts->moving++;
}

static struct counts count_records(const struct operation *operation)
{
    struct counts counts = {0};
    struct spool_entry *entries = NULL;
    struct error ignored;
    size_t found = 0;
    if (spool_list(operation->spool.live, &entries, &found, NULL, &ignored) == 0)
        for (size_t i = 0; i < found; i++)
            count_record(operation, entries[i].id, &counts);
    free(entries);
    return counts;
}

static bool are_all_stopped(const struct operation *operation, const void *ctx)
{
    (void)ctx;
    return count_records(operation).moving == 0;
}

static void print_node_request(const struct operation *operation, enum control_file control,
                               bool is_given)
{
    struct counts counts = count_records(operation);
    if (control == CONTROL_DRAIN)
        printf("%s: %u in progress, %u to be delivered%s\n", is_given ? "drained" : "undrained",
               counts.at_work, counts.waiting,
               is_given ? "; nothing is claimed until undrain" : "");
    else
        printf("%s: %u in progress, %u to be delivered%s\n", is_given ? "paused" : "unpaused",
               counts.at_work, counts.waiting,
               is_given ? "; nothing is claimed and transcoders are suspended until unpause" : "");
    if (!operation->is_running)
        printf("no agent is running; it takes effect when one starts\n");
}

static int request_node(struct operation *operation, enum control_file control, bool is_given)
{
    struct error err;
    struct spool *spool = &operation->spool;
    if (spool_need_controls(spool, &err) != 0)
        return fail_by_class(&err);
    int done = is_given ? control_file_create(spool->controls, control, &err)
                        : control_file_remove(spool->controls, control, &err);
    if (done != 0)
        return fail_by_class(&err);
    struct published published = {control == CONTROL_DRAIN ? "drained" : "paused", is_given};
    if (operation->is_running && !await(operation, is_published, &published))
        return not_yet(operation);
    /* Steps react by themselves, with or without an agent. */
    if (control == CONTROL_PAUSE && is_given && !await(operation, are_all_stopped, NULL)) {
        fputs("tailslate-agent: a transcoder has not stopped yet; the request stays in effect\n",
              stderr);
        return EX_TEMPFAIL;
    }
    print_node_request(operation, control, is_given);
    return EX_OK;
}

int operate_node(const struct config *config, enum control_file control, bool is_given)
{
    struct operation operation;
    int status = begin(&operation, config);
    if (status == 0)
        status = request_node(&operation, control, is_given);
    end(&operation);
    return status;
}

/* ---- records --------------------------------------------------------------------------------- */

static bool is_carried_out(const struct operation *operation, const void *ctx)
{
    struct error ignored;
    FD(dir) = spool_open_record(operation->spool.live, ctx, &ignored);
    return dir < 0 || !control_file_exists(dir, CONTROL_RETRY);
}

static bool has_left(const struct operation *operation, const void *ctx)
{
    struct error ignored;
    FD(dir) = spool_open_record(operation->spool.live, ctx, &ignored);
    return dir < 0;
}

static int no_record(const struct error *err)
{
    return fail(err,
                err->code == ENOENT || err->code == EINVAL ? EX_DATAERR : error_exit_status(err));
}

static int retry_live(const struct operation *operation, const char *id, int dir)
{
    struct error err;
    if (control_file_create(dir, CONTROL_RETRY, &err) != 0)
        return fail_by_class(&err);
    if (operation->is_running && !await(operation, is_carried_out, id))
        return not_yet(operation);
    printf("%s: %s\n", id,
           operation->is_running ? "done" : "no agent is running; it takes effect when one starts");
    return EX_OK;
}

static void withdraw_all(int dir)
{
    struct error ignored;
    for (enum control_file control = CONTROL_RETRY; control < CONTROL_COUNT; control++)
        (void)control_file_remove(dir, control, &ignored);
    record_forget_refusal(dir); /* the days of refusal are counted from now */
}

/* Only a complete success is presented again. The rename makes it a live record at once; a running
 * agent notices it. */
static int retry_moved(const struct operation *operation, const char *id, int directory, int dir)
{
    enum job_state state;
    struct error err;
    if (record_state(dir, &state, &err) != 0)
        return fail(&err, EX_DATAERR);
    if (job_next(state, JOB_REBOUND) == JOB_WRONG) {
        fprintf(stderr, "tailslate-agent: %s is %s: it has no report to present\n", id,
                job_state_name(state));
        return EX_DATAERR;
    }
    withdraw_all(dir);
    if (durable_rename(directory, id, operation->spool.live, id, &err) != 0)
        return fail_by_class(&err);
    printf("%s: back in the spool%s\n", id,
           operation->is_running ? "" : "; no agent is running, it is presented when one starts");
    return EX_OK;
}

static int retry(const struct operation *operation, const char *id)
{
    struct error err;
    const struct spool *spool = &operation->spool;
    FD(live) = spool_open_record(spool->live, id, &err);
    if (live >= 0)
        return retry_live(operation, id, live);
    int directories[] = {spool->quarantine, spool->retained};
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        FD(dir) = spool_open_record(directories[i], id, &err);
        if (dir >= 0)
            return retry_moved(operation, id, directories[i], dir);
    }
    return no_record(&err);
}

int operate_retry(const struct config *config, const char *id)
{
    struct operation operation;
    int status = begin(&operation, config);
    if (status == 0)
        status = retry(&operation, id);
    end(&operation);
    return status;
}

/* A quarantined record that cannot be retried stays there, and is not an error for --all. */
static int retry_directory(const struct operation *operation, int directory, bool is_live)
{
    struct spool_entry *entries = NULL;
    struct error err;
    size_t found = 0;
    if (spool_list(directory, &entries, &found, NULL, &err) != 0)
        return fail_by_class(&err);
    int status = EX_OK;
    for (size_t i = 0; i < found; i++) {
        int one = retry(operation, entries[i].id);
        if (one != EX_OK && (is_live || one != EX_DATAERR))
            status = one;
    }
    free(entries);
    return status;
}

int operate_retry_all(const struct config *config)
{
    struct operation operation;
    int status = begin(&operation, config);
    if (status == 0)
        status = retry_directory(&operation, operation.spool.live, true);
    if (status == 0)
        status = retry_directory(&operation, operation.spool.quarantine, false);
    end(&operation);
    return status;
}

static int request_record(const struct operation *operation, const char *id,
                          enum control_file control)
{
    struct error err;
    FD(dir) = spool_open_record(operation->spool.live, id, &err);
    if (dir < 0)
        return no_record(&err);
    return control_file_create(dir, control, &err) == 0 ? EX_OK : fail_by_class(&err);
}

int operate_hold(const struct config *config, const char *id)
{
    struct operation operation;
    int status = begin(&operation, config);
    if (status == 0)
        status = request_record(&operation, id, CONTROL_HOLD);
    if (status == 0)
        printf("%s: on hold until `spool retry %s`; a running step finishes first\n", id, id);
    end(&operation);
    return status;
}

/* No agent is running: hold its lock, so that none starts meanwhile. */
static int quarantine_alone(const struct operation *operation, const char *id)
{
    struct spool spool;
    struct error err;
    if (spool_open(operation->config->node.state_dir, SPOOL_OWN, &spool, &err) != 0)
        return fail_by_class(&err);
    FD(dir) = spool_open_record(spool.live, id, &err);
    int status = EX_OK;
    if (dir < 0) {
        status = no_record(&err);
    } else if (record_is_locked(dir)) {
        fprintf(stderr, "tailslate-agent: a step is working on %s; start an agent, or wait\n", id);
        status = EX_TEMPFAIL;
    } else if (spool_quarantine(&spool, id, "requested by an operator", &err) != 0) {
        status = fail_by_class(&err);
    }
    spool_close(&spool);
    return status;
}

static int quarantine(const struct operation *operation, const char *id)
{
    if (!operation->is_running)
        return quarantine_alone(operation, id);
    int status = request_record(operation, id, CONTROL_QUARANTINE);
    if (status == 0 && !await(operation, has_left, id))
        status = not_yet(operation);
    return status;
}

int operate_quarantine(const struct config *config, const char *id)
{
    struct operation operation;
    int status = begin(&operation, config);
    if (status == 0)
        status = quarantine(&operation, id);
    if (status == 0)
        printf("%s: in quarantine\n", id);
    end(&operation);
    return status;
}
