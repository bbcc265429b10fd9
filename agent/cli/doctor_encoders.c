#include "agent/cli/doctor_encoders.h"

#include "agent/base/sandbox.h"
#include "agent/media/encoders.h"
#include "agent/media/encoders_file.h"
#include "agent/media/limits.h"
#include "agent/media/machine.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { HINT_BYTES = 200 };

/* ---- devices --------------------------------------------------------------------------------- */

static void check_device(struct doctor *doctor, const struct gpu *gpu)
{
    char hint[HINT_BYTES];
    if (gpu->may_use) {
        finding_add(&doctor->findings, FINDING_GOOD, "device", NULL, "%s, %s", gpu->path,
                    gpu->name);
        return;
    }
    snprintf(hint, sizeof hint,
             "add the agent's user to the group %s (usermod -aG %s USER), then restart it",
             gpu->group[0] ? gpu->group : "render", gpu->group[0] ? gpu->group : "render");
    finding_add(&doctor->findings, FINDING_NOTE, "device", hint,
                "%s, %s: this user has no permission to open it", gpu->path, gpu->name);
}

static void check_devices(struct doctor *doctor)
{
    struct gpu gpus[GPU_MAX];
    size_t count = machine_list_gpus(gpus);
    for (size_t i = 0; i < count; i++)
        check_device(doctor, &gpus[i]);
    if (count == 0)
        finding_add(&doctor->findings, FINDING_NOTE, "device", NULL,
                    "no /dev/dri/renderD* and no /dev/nvidia*: encoding on the CPU");
}

/* ---- encoders -------------------------------------------------------------------------------- */

static void check_encoder(struct doctor *doctor, const struct encoders *found, enum encoder_id id)
{
    const char *codec = tailslate_codec_name(encoder_codec(id));
    bool is_hardware = encoder_kind(id) != ENCODER_CPU;
    if (found->working & 1u << id)
        finding_add(&doctor->findings, FINDING_GOOD, "encoder", NULL, "%-11s %s%s",
                    encoder_name(id), codec, is_hardware ? " in hardware" : "");
    else
        finding_add(&doctor->findings, FINDING_NOTE, "encoder", NULL, "%-11s not usable: %s",
                    encoder_name(id), found->reasons[id]);
}

static enum encoder_id failed_lately(const struct config *config,
                                     char reason[ENCODERS_REASON_BYTES])
{
    FD(state) = open(config->node.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return state < 0 ? ENCODER_COUNT : encoders_failed_lately(state, reason);
}

static void report_failure(struct doctor *doctor, enum encoder_id failed, const char *reason)
{
    char hint[HINT_BYTES];
    if (failed == ENCODER_COUNT)
        return;
    snprintf(hint, sizeof hint, "it is used again %d minutes after that failure",
             ENCODERS_PAUSE_MS / 60 / 1000);
    finding_add(&doctor->findings, FINDING_NOTE, "encoder", hint, "%s failed a recent job: %s",
                encoder_name(failed), reason);
}

/* For the configured codec. */
static void judge_choice(struct doctor *doctor, const struct encoders *found,
                         enum encoder_id failed)
{
    const struct config *config = doctor->config;
    const char *wanted = config->transcode.encoder;
    struct encoder_use use = encoders_choose(config, found, failed);
    const char *codec = tailslate_codec_name(encoder_wanted_codec(config->transcode.codec));
    if (use.id == ENCODER_COUNT) {
        finding_add(&doctor->findings, FINDING_BAD, "ladder",
                    "use an ffmpeg build that has one, or change transcode.codec; "
                    "nothing is claimed until then",
                    "no encoder for %s works (transcode.codec = \"%s\")", codec,
                    config->transcode.codec);
        return;
    }
    bool is_second = strcmp(wanted, "auto") != 0 &&
                     strcmp(wanted, encoder_kind_name(encoder_kind(use.id))) != 0;
    finding_add(&doctor->findings, is_second ? FINDING_NOTE : FINDING_GOOD, "ladder",
                is_second ? "see the reason above, or set transcode.encoder to \"auto\"" : NULL,
                "%s by %s%s%s", codec, encoder_name(use.id), is_second ? "; unavailable: " : "",
                is_second ? wanted : "");
}

static void report_others(struct doctor *doctor, const struct encoders *found,
                          enum encoder_id failed)
{
    char text[HINT_BYTES] = "";
    struct config other = *doctor->config;
    enum tailslate_codec wanted = encoder_wanted_codec(doctor->config->transcode.codec);
    for (enum tailslate_codec codec = TAILSLATE_CODEC_H264; codec <= TAILSLATE_CODEC_AV1; codec++) {
        if (codec == wanted)
            continue;
        snprintf(other.transcode.codec, sizeof other.transcode.codec, "%s",
                 tailslate_codec_name(codec));
        enum encoder_id id = encoders_choose(&other, found, failed).id;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s by %s", used ? ", " : "",
                 tailslate_codec_name(codec), id == ENCODER_COUNT ? "nothing" : encoder_name(id));
    }
    finding_add(&doctor->findings, FINDING_GOOD, "other codecs", NULL, "%s", text);
}

/* The audio encoder. */
static void check_aac(struct doctor *doctor)
{
    struct error err;
    TEXT(list) = NULL;
    if (tool_ask(doctor->config->transcode.ffmpeg, "-encoders", &list, &err) == 0 &&
        !tool_has_encoder(list, "aac"))
        finding_add(&doctor->findings, FINDING_BAD, "encoder", "use an ffmpeg build that has it",
                    "aac is not available");
}

void doctor_check_encoders(struct doctor *doctor)
{
    struct encoders found;
    struct error err;
    char reason[ENCODERS_REASON_BYTES];
    check_devices(doctor);
    if (encoders_probe(doctor->config, ENCODERS_SOON, &found, &err) < 0) {
        finding_add(&doctor->findings, FINDING_BAD, "encoders", "fix transcode.ffmpeg first", "%s",
                    err.message);
        return;
    }
    for (enum encoder_id id = 0; id < ENCODER_COUNT; id++)
        check_encoder(doctor, &found, id);
    check_aac(doctor);
    enum encoder_id failed = failed_lately(doctor->config, reason);
    report_failure(doctor, failed, reason);
    judge_choice(doctor, &found, failed);
    report_others(doctor, &found, failed);
    if (!found.can_tone_map)
        finding_add(&doctor->findings, FINDING_NOTE, "tone mapping",
                    "use an ffmpeg build with the filters zscale and tonemap",
                    "not available: HDR videos will have washed-out colors in h264");
}

/* ---- limits ---------------------------------------------------------------------------------- */

static const char *network_text(const struct config *config)
{
    if (!sandbox_can_filter())
        return NULL;
    if (strcmp(config->transcode.recipe, "command") == 0)
        return config->transcode.network
                   ? "allowed for the command, blocked for ffprobe"
                   : "local sockets only for the command, blocked for ffprobe";
    return "blocked for ffmpeg and ffprobe";
}

void doctor_check_limits(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    double memory_gb = (double)limits_memory_bytes(config, machine_memory_bytes()) / 1e9;
    finding_add(
        &doctor->findings, FINDING_GOOD, "limits", NULL,
        "per transcode: %.1f GB of memory, %g x the duration + %g min, %g s without progress, "
        "nice %lld, disk %s",
        memory_gb, config->limits.wall_factor, config->limits.wall_floor_minutes,
        config->transcode.stall_seconds, (long long)config->transcode.nice, config->limits.io);
    if (network_text(config))
        finding_add(&doctor->findings, FINDING_GOOD, "network", NULL, "%s", network_text(config));
    else
        finding_add(&doctor->findings, FINDING_NOTE, "network",
                    "use a kernel with CONFIG_SECCOMP_FILTER",
                    "this kernel has no seccomp: ffmpeg can reach the network");
}
