#include "agent/step/pipeline_manifest.h"

#include "agent/media/manifest.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/json.h"

#include <math.h>
#include <string.h>

enum {
    NOMINAL_AUDIO_BPS = 128 * 1000,
    ORIGINAL_UNKNOWN_BPS = 8 * 1000 * 1000,
};

/* ---- renditions of an earlier job ------------------------------------------------------------ */

enum { STATUS_BYTES_MAX_EXPONENT = 50 };

static bool is_segment(const char *name)
{
    size_t size = strlen(name);
    return strncmp(name, "seg_", 4) == 0 && size > 4 && strcmp(name + size - 4, ".m4s") == 0;
}

void remote_rendition_parse(const char *body, size_t size, struct remote_rendition *existing)
{
    struct error ignored;
    *existing = (struct remote_rendition){.is_known = false};
    JSON(root) = json_parse(body, size, &ignored);
    const struct json *names = json_get(root, "received_segments");
    if (!json_is_array(names))
        return;
    existing->is_known = true;
    for (const struct json *name = json_first(names); name; name = json_next(name)) {
        const char *text = json_text(name);
        existing->segments += text && is_segment(text);
        existing->is_cmaf = existing->is_cmaf || (text && strcmp(text, "init.mp4") == 0);
    }
    json_get_int(root, "total_size_bytes", 0, INT64_C(1) << STATUS_BYTES_MAX_EXPONENT,
                 &existing->bytes);
}

static void ask_remote(struct session *session, enum tailslate_quality quality,
                       struct remote_rendition *existing)
{
    TEXT(path) = must_printf("/api/worker/upload/%lld/segments/status?quality=%s",
                             (long long)session->claim.claim.video_id,
                             tailslate_quality_name(quality));
    struct http_request request = http_get(path);
    struct reply reply;
    *existing = (struct remote_rendition){.is_known = false};
    session_perform(session, &request, &reply);
    if (session_judge(session, &reply.answer, EXPECT_JSON) == VERDICT_OK)
        remote_rendition_parse(reply.answer.body, reply.answer.body_size, existing);
    session_reply_fini(&reply);
}

/* ---- all renditions -------------------------------------------------------------------------- */

static struct manifest_rendition measured(const struct check_rendition *rendition)
{
    struct manifest_rendition described = {
        .quality = rendition->plan.quality,
        .width = rendition->plan.width,
        .height = rendition->plan.height,
        .peak_bps = rendition->rates.peak_bps,
        .average_bps = rendition->rates.average_bps,
        .video = rendition->video_rates,
        .frame_rate = rendition->frame_rate,
        .video_range = rendition->range == PROBE_RANGE_PQ    ? "PQ"
                       : rendition->range == PROBE_RANGE_HLG ? "HLG"
                                                             : NULL,
        .start_us = rendition->start_us,
        .segments = &rendition->playlist,
    };
    memcpy(described.codecs, rendition->codecs.text, sizeof described.codecs);
    return described;
}

/* An encoded rendition of this job: all of them are cut at the same times. */
static const struct check_rendition *sibling(const struct check *check)
{
    for (size_t i = 0; i < check->count; i++)
        if (check->renditions[i].plan.quality != TAILSLATE_QUALITY_ORIGINAL)
            return &check->renditions[i];
    return NULL;
}

/* Cut like the new renditions: by the same rule, and with as many segments. */
static void share_segments(const struct pipeline_manifest *job,
                           const struct remote_rendition *existing,
                           struct manifest_rendition *described)
{
    const struct check_rendition *made = sibling(job->check);
    if (!made || described->quality == TAILSLATE_QUALITY_ORIGINAL || !existing->is_cmaf ||
        existing->segments != made->playlist.count)
        return;
    described->segments = &made->playlist;
    described->start_us = made->start_us;
}

/* Already on the server: what the ladder would have made, and what the server reports. */
static struct manifest_rendition from_before(const struct pipeline_manifest *job,
                                             enum tailslate_quality quality)
{
    struct ladder_rendition plan;
    struct remote_rendition existing;
    ladder_describe(job->source, quality, &plan);
    ask_remote(job->session, quality, &existing);
    int64_t nominal = plan.bitrate_kbit > 0 ? plan.bitrate_kbit * 1000 : ORIGINAL_UNKNOWN_BPS;
    int64_t average = nominal + NOMINAL_AUDIO_BPS;
    if (existing.bytes > 0 && existing.is_cmaf)
        average = llround((double)existing.bytes * 8 / job->source->duration_s);
    int64_t peak = nominal * 3 / 2 + NOMINAL_AUDIO_BPS;
    struct manifest_rendition described = {
        .quality = quality,
        .width = plan.width,
        .height = plan.height,
        .peak_bps = peak > average ? peak : average,
        .average_bps = average,
        .is_flat = existing.is_known && !existing.is_cmaf,
    };
    share_segments(job, &existing, &described);
    return described;
}

static size_t describe_all(const struct pipeline_manifest *job,
                           struct manifest_rendition all[TAILSLATE_QUALITY_COUNT])
{
    size_t count = 0;
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++) {
        const struct check_rendition *made = NULL;
        for (size_t i = 0; i < job->check->count; i++)
            if (job->check->renditions[i].plan.quality == quality)
                made = &job->check->renditions[i];
        if (made)
            all[count++] = measured(made);
        else if (job->existing & 1u << quality)
            all[count++] = from_before(job, quality);
    }
    return count;
}

static int write_unless_there(int output, const char *name, const char *text, struct error *err)
{
    if (!text || durable_exists(output, name))
        return 0;
    return durable_write(output, name, text, strlen(text), err);
}

/* A command's own manifests are kept. */
int pipeline_manifest_write(const struct pipeline_manifest *job, struct error *err)
{
    struct manifest_rendition all[TAILSLATE_QUALITY_COUNT];
    if (job->check->count == 0)
        return 0; /* nothing new: the server's manifests are still correct */
    size_t count = describe_all(job, all);
    if (job->check->audio_count > 0 && !manifest_has_choice(all, count, job->check->audio_count))
        tailslate_warnings_add(
            job->warnings,
            "alternate audio tracks are left out: a rendition is from an earlier job");
    TEXT(master) = manifest_master(all, count, job->check->audio, job->check->audio_count);
    TEXT(mpd) = manifest_mpd(all, count);
    if (write_unless_there(job->output, "master.m3u8", master, err) < 0)
        return -1;
    return write_unless_there(job->output, "manifest.mpd", mpd, err);
}
