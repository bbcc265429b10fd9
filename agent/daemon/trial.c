#include "agent/daemon/trial.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>

void trial_init(struct trial *trial, struct node *node, struct heartbeat *heartbeat)
{
    *trial = (struct trial){
        .node = node, .heartbeat = heartbeat, .chosen = ENCODER_COUNT, .pidfd = -1};
}

/* ---- the results ----------------------------------------------------------------------------- */

static const char *chosen_for(const struct trial *trial, const char *codec, enum encoder_id failed)
{
    struct config config = *trial->node->config;
    snprintf(config.transcode.codec, sizeof config.transcode.codec, "%s", codec);
    enum encoder_id id = encoders_choose(&config, &trial->found, failed).id;
    return id == ENCODER_COUNT ? "none" : encoder_name(id);
}

static void tell(const struct trial *trial, enum encoder_id failed)
{
    log_info("encoders.found", LOG_TEXT("h264", chosen_for(trial, "h264", failed)),
             LOG_TEXT("hevc", chosen_for(trial, "hevc", failed)),
             LOG_TEXT("av1", chosen_for(trial, "av1", failed)),
             LOG_TEXT("codec", trial->node->config->transcode.codec),
             LOG_TEXT("avoided", failed == ENCODER_COUNT ? "" : encoder_name(failed)),
             LOG_TEXT("ffmpeg", trial->found.version), LOG_TEXT("gpu", trial->found.gpu));
}

static void set_useless(struct trial *trial, bool is_useless)
{
    struct node *node = trial->node;
    if (is_useless && !node->is_tool_broken)
        log_error("encoders.none", LOG_TEXT("codec", node->config->transcode.codec),
                  LOG_TEXT("hint", "nothing is claimed; run tailslate-agent check for the reason"));
    if (node->is_tool_broken != is_useless)
        node->is_status_due = true;
    node->is_tool_broken = is_useless;
}

/* The results are not usable: the probe is repeated. */
static bool is_wanting(const struct trial *trial)
{
    return trial->is_known && (trial->chosen == ENCODER_COUNT || trial->found.is_incomplete);
}

/* Also checks for a failure in a job: it changes which encoder is used, and expires. */
static void take_up(struct trial *trial, bool is_new)
{
    struct node *node = trial->node;
    struct heartbeat *heartbeat = trial->heartbeat;
    enum encoder_id failed = encoders_failed_lately(node->spool.state_dir,
                                                    heartbeat->encoder_failure);
    enum encoder_id chosen = encoders_choose(node->config, &trial->found, failed).id;
    if (is_new || chosen != trial->chosen)
        tell(trial, failed);
    if (is_new || chosen != trial->chosen || failed != heartbeat->failed_encoder)
        node->is_status_due = true;
    trial->chosen = chosen;
    trial->is_known = true;
    heartbeat->encoders = &trial->found;
    heartbeat->encoder = chosen;
    heartbeat->failed_encoder = failed;
    memcpy(heartbeat->ffmpeg_version, trial->found.version, sizeof heartbeat->ffmpeg_version);
    set_useless(trial, chosen == ENCODER_COUNT && !trial->found.is_incomplete);
    trial->due_ms = mono_ms() + (is_wanting(trial) ? TRIAL_AGAIN_MS : TRIAL_LOOK_MS);
}

static bool load(struct trial *trial)
{
    struct error ignored;
    struct encoders fresh;
    if (encoders_load(trial->node->spool.state_dir, trial->node->config, &fresh, &ignored) < 0)
        return false;
    bool is_new = !trial->is_known || memcmp(fresh.key, trial->found.key, sizeof fresh.key) != 0 ||
                  fresh.working != trial->found.working;
    trial->found = fresh;
    take_up(trial, is_new);
    return true;
}

/* ---- the child ------------------------------------------------------------------------------- */

static int spawn(const struct node *node, pid_t *pid)
{
    TEXT(config) = must_strdup(node->config_path ? node->config_path : "");
    char program[] = "tailslate-agent", option[] = "-c", verb[] = "trial";
    char *argv[] = {program, option, config, verb, NULL};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    int code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (code == 0)
        code = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

/* Its exit status; -1: it was killed. */
static int reap(struct trial *trial)
{
    siginfo_t info = {0};
    waitid(P_PIDFD, (id_t)trial->pidfd, &info, WEXITED);
    close(trial->pidfd);
    trial->pidfd = -1;
    return info.si_code == CLD_EXITED ? info.si_status : -1;
}

static int start(struct trial *trial, struct error *err)
{
    errno = spawn(trial->node, &trial->pid);
    if (errno != 0)
        return error_errno(err, "cannot start the encoder probe");
    trial->pidfd = pidfd_open(trial->pid, 0);
    must(trial->pidfd >= 0); /* our child, not reaped yet */
    struct epoll_event event = {.events = EPOLLIN, .data.fd = trial->pidfd};
    if (epoll_ctl(trial->node->epoll, EPOLL_CTL_ADD, trial->pidfd, &event) == 0)
        return 0;
    error_errno(err, "epoll");
    trial_cancel(trial);
    return -1;
}

void trial_cancel(struct trial *trial)
{
    if (trial->pidfd < 0)
        return;
    pidfd_send_signal(trial->pidfd, SIGKILL, NULL, 0);
    reap(trial);
}

/* Without results nothing is known to be wrong: steps probe for themselves. */
static void not_found(struct trial *trial, const char *why)
{
    log_warning("encoders.unknown", LOG_TEXT("reason", why));
    trial->due_ms = mono_ms() + TRIAL_AGAIN_MS;
}

bool trial_handle(struct trial *trial, int fd)
{
    if (trial->pidfd < 0 || fd != trial->pidfd)
        return false;
    int status = reap(trial);
    if (load(trial))
        return true;
    not_found(trial, "the encoder probe left no result");
    /* An upgrade may have broken ffmpeg: find out before it costs jobs their attempts. */
    if (status == EX_UNAVAILABLE)
        set_useless(trial, true);
    return true;
}

bool trial_handle_pid(struct trial *trial, pid_t pid)
{
    return trial->pidfd >= 0 && trial->pid == pid && trial_handle(trial, trial->pidfd);
}

static bool is_needed(const struct trial *trial)
{
    return strcmp(trial->node->config->transcode.recipe, "ladder") == 0;
}

void trial_renew(struct trial *trial)
{
    if (is_needed(trial) && trial->is_known && load(trial))
        return;
    trial_cancel(trial);
    trial->is_known = false;
    trial->due_ms = 0;
    trial->heartbeat->encoders = NULL;
    trial->node->is_status_due = true;
    if (!is_needed(trial))
        set_useless(trial, false);
}

int64_t trial_tick(struct trial *trial, int64_t now_ms)
{
    struct error err;
    if (!is_needed(trial) || !trial->heartbeat->ffmpeg_version[0])
        return NODE_NEVER;
    if (trial->pidfd >= 0 && trial->limit_ms <= now_ms) {
        trial_cancel(trial);
        not_found(trial, "the encoder probe did not finish");
    }
    if (trial->pidfd >= 0)
        return trial->limit_ms;
    if (trial->due_ms > now_ms)
        return trial->due_ms;
    if (!is_wanting(trial) && load(trial))
        return trial->due_ms;
    trial->limit_ms = now_ms + TRIAL_LIMIT_MS;
    if (start(trial, &err) < 0)
        not_found(trial, err.message);
    return trial->pidfd >= 0 ? trial->limit_ms : trial->due_ms;
}

int trial_main(const struct config *config)
{
    struct error err;
    struct encoders found;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    FD(state) = open(config->node.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = EX_UNAVAILABLE;
    if (encoders_try(config, ENCODERS_LATE, &found, &err) == 0) {
        status = EX_IOERR;
        if (state >= 0 && encoders_save(state, &found, &err) == 0)
            return EX_OK;
        if (state < 0)
            error_errno(&err, "%s", config->node.state_dir);
    }
    log_warning("encoder_probe.failed", LOG_TEXT("reason", err.message));
    return status;
}
