#include "agent/daemon/version.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

void version_init(struct version *version, struct node *node, char text[TOOL_VERSION_BYTES])
{
    *version = (struct version){.node = node, .text = text};
    version->question.pidfd = version->question.output = -1;
}

static void set_broken(struct version *version, const struct error *err)
{
    struct node *node = version->node;
    version->due_ms = mono_ms() + VERSION_AGAIN_MS;
    if (!node->is_tool_broken)
        log_error("ffmpeg.broken", LOG_TEXT("program", node->config->transcode.ffmpeg),
                  LOG_TEXT("reason", err->message),
                  LOG_TEXT("hint", "nothing is claimed until this is fixed"));
    node->is_tool_broken = true;
    node->is_status_due = true;
}

static int watch(struct version *version, struct error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = version->question.pidfd};
    if (epoll_ctl(version->node->epoll, EPOLL_CTL_ADD, version->question.pidfd, &event) == 0)
        return 0;
    error_errno(err, "epoll");
    tool_ask_cancel(&version->question);
    return -1;
}

static void ask(struct version *version)
{
    struct error err;
    version->due_ms = INT64_MAX;
    version->limit_ms = mono_ms() + TOOL_WAIT_MS;
    if (tool_ask_start(version->node->config->transcode.ffmpeg, "-version", &version->question,
                       &err) != 0 ||
        watch(version, &err) != 0)
        set_broken(version, &err);
}

bool version_handle(struct version *version, int fd)
{
    struct error err;
    TEXT(text) = NULL;
    if (version->question.pidfd < 0 || fd != version->question.pidfd)
        return false;
    int ended = tool_ask_end(&version->question, &text, &err);
    if (ended == 0 && !tool_parse_version(text, version->text))
        ended = error_set(&err, ERROR_PERMANENT, 0, "cannot parse the output of -version");
    if (ended != 0) {
        set_broken(version, &err);
        return true;
    }
    if (version->node->is_tool_broken)
        log_info("ffmpeg.ok", LOG_TEXT("version", version->text));
    version->node->is_tool_broken = false;
    version->node->is_status_due = true;
    return true;
}

bool version_handle_pid(struct version *version, pid_t pid)
{
    return version->question.pidfd >= 0 && version->question.pid == pid &&
           version_handle(version, version->question.pidfd);
}

static void stop_waiting(struct version *version)
{
    struct error err;
    tool_ask_cancel(&version->question);
    error_set(&err, ERROR_PERMANENT, ETIMEDOUT, "-version: still running after %d s",
              TOOL_WAIT_MS / 1000);
    set_broken(version, &err);
}

int64_t version_tick(struct version *version, bool is_heard, int64_t now_ms)
{
    version->is_heard = version->is_heard || is_heard;
    if (strcmp(version->node->config->transcode.recipe, "ladder") != 0 || !version->is_heard)
        return NODE_NEVER;
    if (version->question.pidfd >= 0 && version->limit_ms <= now_ms)
        stop_waiting(version);
    if (version->question.pidfd < 0 && version->due_ms <= now_ms)
        ask(version);
    if (version->question.pidfd >= 0)
        return version->limit_ms;
    return version->due_ms == INT64_MAX ? NODE_NEVER : version->due_ms;
}

void version_cancel(struct version *version)
{
    tool_ask_cancel(&version->question);
}
