#include "agent/cli/view.h"
#include "agent/spool/control_file.h"

#include <stdio.h>
#include <string.h>

static void set(struct json *row, int64_t since_us, const char *reason, const char *hint)
{
    struct record_waiting waiting = {.since_us = since_us};
    snprintf(waiting.reason, sizeof waiting.reason, "%s", reason);
    snprintf(waiting.hint, sizeof waiting.hint, "%s", hint);
    json_set(row, "waiting", record_format_waiting(&waiting));
}

static bool is_on_hold(const struct view *view, struct json *row, int dir)
{
    char hint[64], reason[SPOOL_REASON_BYTES];
    if (!view_bool(row, "on_hold"))
        return false;
    snprintf(hint, sizeof hint, "`tailslate-agent spool retry %.24s`",
             view_text(row, "record", ""));
    spool_read_reason(view->spool.live, view_text(row, "record", ""), reason);
    set(row, control_file_since_us(dir, CONTROL_HOLD),
        reason[0] ? reason : "on hold, requested by an operator", hint);
    return true;
}

static bool needs_space(struct json *row, int dir)
{
    char reason[96];
    int64_t need_bytes, since_us;
    if (!view_text(row, "waits_for", NULL) || !record_read_need(dir, &need_bytes, &since_us))
        return false;
    snprintf(reason, sizeof reason, "waiting for space on this node's disk: %.1f GB are needed",
             (double)need_bytes / 1e9);
    set(row, since_us, reason, "free space in node.state_dir, or lower node.min_free_disk_gb");
    return true;
}

static bool is_paused(const struct view *view, struct json *row)
{
    if (!view_bool(view->root, "paused") || strcmp(view_text(row, "step", ""), "transcode") != 0)
        return false;
    set(row, control_file_since_us(view->spool.controls, CONTROL_PAUSE), "paused by an operator",
        "`tailslate-agent unpause`");
    return true;
}

void view_add_waiting(const struct view *view, struct json *row, int dir,
                      const struct record_progress *progress, const struct json *known)
{
    bool has_step = view_bool(row, "step_running");
    if (is_on_hold(view, row, dir) || needs_space(row, dir) || is_paused(view, row))
        return;
    if (!has_step && !view_bool(view->root, "running"))
        set(row, 0, "no agent is running", "start tailslate-agent");
    else if (has_step && progress && progress->waiting.reason[0])
        json_set(row, "waiting", record_format_waiting(&progress->waiting));
    else if (json_get(known, "waiting"))
        json_set(row, "waiting", json_copy(json_get(known, "waiting")));
}
