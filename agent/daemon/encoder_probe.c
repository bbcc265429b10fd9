#include "agent/daemon/encoder_probe.h"

#include "agent/media/encoders_file.h"
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

/* ---- ffmpeg's version ------------------------------------------------------------------------ */

void ffmpeg_version_init(struct ffmpeg_version *version, struct node *node,
                         char text[TOOL_VERSION_BYTES])
{
    *version = (struct ffmpeg_version){.node = node, .text = text};
    version->question.pidfd = version->question.output = -1;
}

static void set_ffmpeg_broken(struct ffmpeg_version *version, const struct error *err)
{
    struct node *node = version->node;
    version->due_ms = mono_ms() + FFMPEG_VERSION_AGAIN_MS;
    if (admission_set(node, ADMISSION_TOOL_BROKEN, true))
        log_error("ffmpeg.broken", LOG_TEXT("program", node->config->transcode.ffmpeg),
                  LOG_TEXT("reason", err->message),
                  LOG_TEXT("hint", "nothing is claimed until this is fixed"));
}

static int watch_question(struct ffmpeg_version *version, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = version->question.pidfd};
    if (epoll_ctl(version->node->epoll, EPOLL_CTL_ADD, version->question.pidfd, &event) == 0)
        return 0;
    error_errno(err, "epoll");
    tool_ask_cancel(&version->question);
    return -1;
}

static void ask_version(struct ffmpeg_version *version)
{
    struct error err;
    version->due_ms = INT64_MAX;
    version->limit_ms = mono_ms() + TOOL_WAIT_MS;
    if (tool_ask_start(version->node->config->transcode.ffmpeg, "-version", &version->question,
                       &err) != 0 ||
        watch_question(version, &err) != 0)
        set_ffmpeg_broken(version, &err);
}

bool ffmpeg_version_handle(struct ffmpeg_version *version, int fd)
{
    struct error err;
    TEXT(text) = NULL;
    if (version->question.pidfd < 0 || fd != version->question.pidfd)
        return false;
    int ended = tool_ask_end(&version->question, &text, &err);
    if (ended == 0 && !tool_parse_version(text, version->text))
        ended = error_set(&err, ERROR_PERMANENT, 0, "cannot parse the output of -version");
    if (ended != 0) {
        set_ffmpeg_broken(version, &err);
        return true;
    }
    if (admission_set(version->node, ADMISSION_TOOL_BROKEN, false))
        log_info("ffmpeg.ok", LOG_TEXT("version", version->text));
    node_status_changed(version->node);
    return true;
}

bool ffmpeg_version_handle_pid(struct ffmpeg_version *version, pid_t pid)
{
    return version->question.pidfd >= 0 && version->question.pid == pid &&
           ffmpeg_version_handle(version, version->question.pidfd);
}

static void stop_question(struct ffmpeg_version *version)
{
    struct error err;
    tool_ask_cancel(&version->question);
    error_set(&err, ERROR_PERMANENT, ETIMEDOUT, "-version: still running after %d s",
              TOOL_WAIT_MS / 1000);
    set_ffmpeg_broken(version, &err);
}

int64_t ffmpeg_version_tick(struct ffmpeg_version *version, bool is_heard, int64_t now_ms)
{
    version->is_heard = version->is_heard || is_heard;
    if (strcmp(version->node->config->transcode.recipe, "ladder") != 0 || !version->is_heard)
        return NODE_NEVER;
    if (version->question.pidfd >= 0 && version->limit_ms <= now_ms)
        stop_question(version);
    if (version->question.pidfd < 0 && version->due_ms <= now_ms)
        ask_version(version);
    if (version->question.pidfd >= 0)
        return version->limit_ms;
    return version->due_ms == INT64_MAX ? NODE_NEVER : version->due_ms;
}

void ffmpeg_version_cancel(struct ffmpeg_version *version)
{
    tool_ask_cancel(&version->question);
}

void encoder_probe_init(struct encoder_probe *probe, struct node *node, struct heartbeat *heartbeat)
{
    *probe = (struct encoder_probe){
        .node = node, .heartbeat = heartbeat, .chosen = ENCODER_COUNT, .pidfd = -1};
}

/* ---- the results ----------------------------------------------------------------------------- */

static const char *chosen_for(const struct encoder_probe *probe, const char *codec,
                              enum encoder_id failed)
{
    struct config config = *probe->node->config;
    snprintf(config.transcode.codec, sizeof config.transcode.codec, "%s", codec);
    enum encoder_id id = encoders_choose(&config, &probe->found, failed).id;
    return id == ENCODER_COUNT ? "none" : encoder_name(id);
}

static void log_choice(const struct encoder_probe *probe, enum encoder_id failed)
{
    log_info("encoders.found", LOG_TEXT("h264", chosen_for(probe, "h264", failed)),
             LOG_TEXT("hevc", chosen_for(probe, "hevc", failed)),
             LOG_TEXT("av1", chosen_for(probe, "av1", failed)),
             LOG_TEXT("codec", probe->node->config->transcode.codec),
             LOG_TEXT("avoided", failed == ENCODER_COUNT ? "" : encoder_name(failed)),
             LOG_TEXT("ffmpeg", probe->found.version), LOG_TEXT("gpu", probe->found.gpu));
}

static void set_no_encoder(struct encoder_probe *probe, bool is_none)
{
    struct node *node = probe->node;
    if (admission_set(node, ADMISSION_TOOL_BROKEN, is_none) && is_none)
        log_error("encoders.none", LOG_TEXT("codec", node->config->transcode.codec),
                  LOG_TEXT("hint", "nothing is claimed; run tailslate-agent check for the reason"));
}

/* The results are not usable: the probe is repeated. */
static bool is_unusable(const struct encoder_probe *probe)
{
    return probe->is_known && (probe->chosen == ENCODER_COUNT || probe->found.is_incomplete);
}

/* Also checks for a failure in a job: it changes which encoder is used, and expires. */
static void use_results(struct encoder_probe *probe, bool is_new)
{
    struct node *node = probe->node;
    struct heartbeat *heartbeat = probe->heartbeat;
    enum encoder_id failed = encoders_failed_lately(node->spool.state_dir,
                                                    heartbeat->encoder_failure);
    enum encoder_id chosen = encoders_choose(node->config, &probe->found, failed).id;
    if (is_new || chosen != probe->chosen)
        log_choice(probe, failed);
    if (is_new || chosen != probe->chosen || failed != heartbeat->failed_encoder)
        node_status_changed(node);
    probe->chosen = chosen;
    probe->is_known = true;
    heartbeat->encoders = &probe->found;
    heartbeat->encoder = chosen;
    heartbeat->failed_encoder = failed;
    memcpy(heartbeat->ffmpeg_version, probe->found.version, sizeof heartbeat->ffmpeg_version);
    set_no_encoder(probe, chosen == ENCODER_COUNT && !probe->found.is_incomplete);
    probe->due_ms = mono_ms() +
                    (is_unusable(probe) ? ENCODER_PROBE_AGAIN_MS : ENCODER_PROBE_CHECK_MS);
}

static bool load(struct encoder_probe *probe)
{
    struct error ignored;
    struct encoders fresh;
    if (encoders_load(probe->node->spool.state_dir, probe->node->config, &fresh, &ignored) < 0)
        return false;
    bool is_new = !probe->is_known || memcmp(fresh.key, probe->found.key, sizeof fresh.key) != 0 ||
                  fresh.working != probe->found.working;
    probe->found = fresh;
    use_results(probe, is_new);
    return true;
}

/* ---- the child ------------------------------------------------------------------------------- */

static int spawn(const struct node *node, pid_t *pid)
{
    TEXT(config) = must_strdup(node->config_path ? node->config_path : "");
    char program[] = "tailslate-agent", option[] = "-c", command[] = "probe-encoders";
    char *with_config[] = {program, option, config, command, NULL};
    char *without[] = {program, command, NULL};
    char **argv = node->config_path ? with_config : without;
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
static int reap(struct encoder_probe *probe)
{
    siginfo_t info = {0};
    waitid(P_PIDFD, (id_t)probe->pidfd, &info, WEXITED);
    close(probe->pidfd);
    probe->pidfd = -1;
    return info.si_code == CLD_EXITED ? info.si_status : -1;
}

static int start(struct encoder_probe *probe, struct error *err)
{
    errno = spawn(probe->node, &probe->pid);
    if (errno != 0)
        return error_errno(err, "cannot start the encoder probe");
    probe->pidfd = pidfd_open(probe->pid, 0);
    must(probe->pidfd >= 0); /* our child, not reaped yet */
    struct epoll_event event = {.events = EPOLLIN, .data.fd = probe->pidfd};
    if (epoll_ctl(probe->node->epoll, EPOLL_CTL_ADD, probe->pidfd, &event) == 0)
        return 0;
    error_errno(err, "epoll");
    encoder_probe_cancel(probe);
    return -1;
}

void encoder_probe_cancel(struct encoder_probe *probe)
{
    if (probe->pidfd < 0)
        return;
    pidfd_send_signal(probe->pidfd, SIGKILL, NULL, 0);
    reap(probe);
}

/* Without results nothing is known to be wrong: steps probe for themselves. */
static void repeat_later(struct encoder_probe *probe, const char *why)
{
    log_warning("encoders.unknown", LOG_TEXT("reason", why));
    probe->due_ms = mono_ms() + ENCODER_PROBE_AGAIN_MS;
}

bool encoder_probe_handle(struct encoder_probe *probe, int fd)
{
    if (probe->pidfd < 0 || fd != probe->pidfd)
        return false;
    int status = reap(probe);
    if (load(probe))
        return true;
    repeat_later(probe, "the encoder probe left no result");
    /* An upgrade may have broken ffmpeg: find out before it costs jobs their attempts. */
    if (status == EX_UNAVAILABLE)
        set_no_encoder(probe, true);
    return true;
}

bool encoder_probe_handle_pid(struct encoder_probe *probe, pid_t pid)
{
    return probe->pidfd >= 0 && probe->pid == pid && encoder_probe_handle(probe, probe->pidfd);
}

static bool is_needed(const struct encoder_probe *probe)
{
    return strcmp(probe->node->config->transcode.recipe, "ladder") == 0;
}

void encoder_probe_renew(struct encoder_probe *probe)
{
    if (is_needed(probe) && probe->is_known && load(probe))
        return;
    encoder_probe_cancel(probe);
    probe->is_known = false;
    probe->due_ms = 0;
    probe->heartbeat->encoders = NULL;
    node_status_changed(probe->node);
    if (!is_needed(probe))
        set_no_encoder(probe, false);
}

int64_t encoder_probe_tick(struct encoder_probe *probe, int64_t now_ms)
{
    struct error err;
    if (!is_needed(probe) || !probe->heartbeat->ffmpeg_version[0])
        return NODE_NEVER;
    if (probe->pidfd >= 0 && probe->limit_ms <= now_ms) {
        encoder_probe_cancel(probe);
        repeat_later(probe, "the encoder probe did not finish");
    }
    if (probe->pidfd >= 0)
        return probe->limit_ms;
    if (probe->due_ms > now_ms)
        return probe->due_ms;
    if (!is_unusable(probe) && load(probe))
        return probe->due_ms;
    probe->limit_ms = now_ms + ENCODER_PROBE_LIMIT_MS;
    if (start(probe, &err) < 0)
        repeat_later(probe, err.message);
    return probe->pidfd >= 0 ? probe->limit_ms : probe->due_ms;
}

int encoder_probe_main(const struct config *config)
{
    struct error err;
    struct encoders found;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    FD(state) = open(config->node.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = EX_UNAVAILABLE;
    if (encoders_probe(config, ENCODERS_LATE, &found, &err) == 0) {
        status = EX_IOERR;
        if (state >= 0 && encoders_save(state, &found, &err) == 0)
            return EX_OK;
        if (state < 0)
            error_errno(&err, "%s", config->node.state_dir);
    }
    log_warning("encoder_probe.failed", LOG_TEXT("reason", err.message));
    return status;
}
