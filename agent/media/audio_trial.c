#include "agent/media/audio_trial.h"

#include "base/log.h"

#include <errno.h>

static void push_trial(const struct config *config, const char *source,
                       const struct audio_track *track, struct argv *argv)
{
    const char *const head[] = {
        config->transcode.ffmpeg, "-hide_banner", "-nostdin",          "-nostats",    "-v", "fatal",
        "-protocol_whitelist",    "file,pipe",    "-format_whitelist", PROBE_FORMATS, "-i"};
    const char *const tail[] = {"-f", "null", "-progress", "pipe:1", "-"};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        argv_push(argv, "%s", head[i]);
    argv_push(argv, "file:%s", source);
    argv_push(argv, "-map");
    argv_push(argv, "0:%d", track->index);
    audio_push_encoder(track, argv);
    argv_push(argv, "-frames:a");
    argv_push(argv, "%d", AUDIO_TRIAL_FRAMES);
    for (size_t i = 0; i < sizeof tail / sizeof tail[0]; i++)
        argv_push(argv, "%s", tail[i]);
}

/* 1: it can be decoded; 0: not with this mix, or not in time; -1: the claim is lost. */
static int try_once(struct session *session, const char *source, const struct audio_track *track,
                    struct error *err)
{
    struct argv argv = {0};
    double decoded_s;
    push_trial(session->config, source, track, &argv);
    int result = probe_run_measure(session, &argv, AUDIO_TRIAL_LIMIT_MS, &decoded_s, err);
    argv_fini(&argv);
    return result == 0 ? 1 : err->code == ECANCELED ? -1 : 0;
}

static int try_track(struct session *session, const char *source, struct audio_track *track,
                     struct error *err)
{
    int result = try_once(session, source, track, err);
    while (result == 0 && err->code != ETIMEDOUT && audio_simplify_mix(track))
        result = try_once(session, source, track, err);
    if (result == 0)
        log_info("step.audio_track_dropped", LOG_INT("stream", track->index),
                 LOG_TEXT("codec", track->codec), LOG_INT("channels", track->channels),
                 LOG_TEXT("reason", "cannot be decoded"));
    return result;
}

static int drop_dead(struct session *session, const char *path, struct audio *audio,
                     struct error *err)
{
    size_t retained = 0;
    int64_t deadline = session_work_ms(session) + AUDIO_TRIAL_ALL_MS;
    for (size_t i = 0; i < audio->count && retained < AUDIO_PUBLISHED_MAX; i++) {
        if (session_work_ms(session) >= deadline)
            break;
        struct audio_track track = audio->tracks[i];
        int result = try_track(session, path, &track, err);
        if (result < 0)
            return -1;
        if (result > 0)
            audio->tracks[retained++] = track;
    }
    audio->count = retained;
    return 0;
}

int audio_choose(struct session *session, const char *path, struct probe *source,
                 struct tailslate_warnings *warnings, struct error *err)
{
    if (source->audio_streams == 0)
        return 0;
    const char *codec = source->audio.count > 0 ? source->audio.tracks[0].codec : "unknown codec";
    if (drop_dead(session, path, &source->audio, err) < 0)
        return -1;
    const struct audio_track *main = &source->audio.tracks[0];
    if (source->audio.count == 0)
        tailslate_warnings_add(
            warnings, "the video has no sound: no audio track of the source can be decoded (%s)",
            codec);
    else
        log_info("step.audio", LOG_INT("stream", main->index), LOG_TEXT("codec", main->codec),
                 LOG_TEXT("language", main->language), LOG_INT("tracks", source->audio.count));
    return 0;
}
