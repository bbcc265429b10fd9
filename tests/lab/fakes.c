/* What replaces ffmpeg and ffprobe where volume counts: both are most of what a run costs. */
#include "fleet.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "settings.h"

/* A rendition made beforehand; every fourth takes longer than a claim lasts. Each run signs its
 * files, so that a mixture of two shows; the playlist comes last, because what it lists is uploaded
 * at once. */
static const char transcoder[] =
    "set -e\nmkdir -p \"$1/360p\"\nsleep $(($2 %% 4 / 3 * 2)).$((1 + $2 * 7 %% 9))\n"
    "read -r sign </proc/sys/kernel/random/uuid\n"
    "for name in init.mp4 seg_0000.m4s seg_0001.m4s; do\n"
    "    { cat '%1$s/360p/'$name; printf '\\000\\000\\000\\054free%%s' $sign; }"
    " >\"$1/360p/$name\"\ndone\ncp '%1$s'/*.* \"$1/\"\n"
    "{ cat '%1$s/360p/stream.m3u8'; echo \"# $sign\"; } >\"$1/list\"\n"
    "mv \"$1/list\" \"$1/360p/stream.m3u8\"\n";

/* What the real program said once of the one film that there is. */
static const char memory[] =
    "case \"$*\" in *.m3u8) said='%1$s-output' ;; *) said='%1$s-source' ;; esac\n"
    "[ -s \"$said\" ] || { %2$s \"$@\" >\"$said.$$\" && mv \"$said.$$\" \"$said\"; } || exit\n"
    "exec cat \"$said\"\n";

static void remember(struct fleet *fleet, const char *program)
{
    TEXT(said) = media_beside(program);
    TEXT(text) = must_printf(memory, said, program);
    free(rig_script(fleet->rig, program, text));
}

void fleet_write_fakes(struct fleet *fleet)
{
    TEXT(text) = must_printf(transcoder, media_tree());
    free(rig_script(fleet->rig, "transcoder", text));
    remember(fleet, "ffmpeg");
    remember(fleet, "ffprobe");
}

void fleet_use_fakes(struct fleet *fleet, int node)
{
    struct settings *settings = &fleet->agent_settings[node];
    TEXT(command) = rig_path(fleet->rig, "transcoder {output} {job_id}");
    TEXT(ffmpeg) = rig_path(fleet->rig, "ffmpeg");
    TEXT(ffprobe) = rig_path(fleet->rig, "ffprobe");
    settings_set_text(settings, "transcode.recipe", "command");
    settings_set_text(settings, "transcode.command", command);
    settings_set_text(settings, "transcode.ffmpeg", ffmpeg);
    settings_set_text(settings, "transcode.ffprobe", ffprobe);
}
