#include "transcoder.h"

#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>

void transcoder_use(struct rig *rig, const char *script)
{
    TEXT(text) = must_printf("%s\nexec ffmpeg \"$@\"", script);
    TEXT(path) = rig_script(rig, "ffmpeg", text);
    settings_set_text(&rig->agent_settings, "transcode.ffmpeg", path);
    rig->probes_by_ffmpeg = false;
}

void transcoder_does(struct rig *rig, const char *deed, ...)
{
    char text[1024];
    va_list args;
    va_start(args, deed);
    int size = vsnprintf(text, sizeof text, deed, args);
    va_end(args);
    cr_assert_lt((size_t)size, sizeof text);
    TEXT(script) = must_printf("case \"$*\" in *libx264*hls*) %s;; esac", text);
    transcoder_use(rig, script);
    rig->probes_by_ffmpeg = true;
}

void transcoder_takes_time(struct rig *rig, const char *rate)
{
    transcoder_does(rig, "echo $$ >>'%s/transcoders'; exec ffmpeg -readrate %s \"$@\"", rig->dir,
                    rate);
}

pid_t transcoder_wait(const struct rig *rig)
{
    TEXT(path) = rig_path(rig, "transcoders");
    char line[LINE_BYTES] = "";
    cr_assert(inspect_wait_file(path, true, RIG_JOB_MS), "no transcoder was started");
    cr_assert(log_wait(path, "", RIG_START_MS, line));
    return (pid_t)strtol(line, NULL, 10);
}

int transcoder_starts(const struct rig *rig)
{
    TEXT(path) = rig_path(rig, "transcoders");
    return log_count(path, "");
}
