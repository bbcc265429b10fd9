#include "agent/media/source.h"

#include "agent/api/session.h"
#include "agent/media/reason.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#define TOLERANCE_SHARE   0.01
#define TOLERANCE_SECONDS 0.5
#define ABSURD_BPS        1000.0 /* a video with so few frames does not move */

/* ---- pure: which video stream ---------------------------------------------------------------- */

static int64_t packets_of(const struct scan *scan, int index)
{
    const struct scan_stream *stream = scan_find(scan, index);
    return stream ? stream->packets : 0;
}

static const struct probe_stream *entry_of(const struct probe *probe, int index)
{
    for (size_t i = 0; i < probe->stream_count; i++)
        if (probe->streams[i].index == index)
            return &probe->streams[i];
    return NULL;
}

/* The stream picked by flags stays, unless another has far more frames: a cover has one, a track of
 * chapter images a few. */
int source_pick_video(const struct probe *probe, const struct scan *scan)
{
    const struct probe_stream *picked = entry_of(probe, probe->video_index);
    for (size_t i = 0; picked && i < probe->stream_count; i++) {
        const struct probe_stream *other = &probe->streams[i];
        int64_t has = packets_of(scan, picked->index), more = packets_of(scan, other->index);
        if (other->is_video && other->index != picked->index &&
            (more > 2 * has || (more == has && has <= 1 && other->pixels > picked->pixels)))
            picked = other;
    }
    return picked ? picked->index : probe->video_index;
}

/* ---- pure: how long -------------------------------------------------------------------------- */

double source_end_s(const struct scan *scan)
{
    double end_s = 0;
    for (size_t i = 0; i < scan->count; i++)
        end_s = fmax(end_s, scan->streams[i].end_s);
    return end_s;
}

static bool is_one_of(const char *format, const char *const names[])
{
    for (size_t i = 0; names[i]; i++)
        if (strncmp(format, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static uint32_t little32(const unsigned char *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

/* For a truncated file ffmpeg reports how long it is now; the header still says how long it was
 * meant to be, as microseconds per frame and the number of frames. */
double source_avi_claims_s(const unsigned char *head, size_t size)
{
    if (size < SOURCE_HEAD_BYTES || memcmp(head, "RIFF", 4) != 0 ||
        memcmp(head + 8, "AVI LIST", 8) != 0 || memcmp(head + 20, "hdrlavih", 8) != 0)
        return 0;
    return (double)little32(head + 32) * little32(head + 48) / 1e6;
}

/* These do not state a duration: ffmpeg guesses it from timestamps or the bit rate. */
static bool is_length_guessed(const struct probe *probe)
{
    static const char *const names[] = {"mpegts", "mpeg",         "ogg", "gif", "h264",
                                        "hevc",   "mpegvideo",    "m4v", "vc1", "dv",
                                        "obu",    "yuv4mpegpipe", NULL};
    return is_one_of(probe->format, names);
}

/* If the demuxer knows from an index or sizes what should come, it reports what is missing. */
static bool is_end_known(const struct probe *probe)
{
    static const char *const names[] = {"mov", "matroska", NULL};
    return is_one_of(probe->format, names);
}

enum source_length source_judge_length(const struct probe *probe, const struct scan *scan,
                                       int64_t file_bytes)
{
    double claimed_s = probe->duration_s, there_s = source_end_s(scan);
    double allowed_s = fmax(claimed_s * TOLERANCE_SHARE, TOLERANCE_SECONDS);
    if (is_length_guessed(probe) || there_s >= claimed_s - allowed_s)
        return SOURCE_WHOLE;
    if (is_end_known(probe) ? scan->is_partial : (double)file_bytes * 8 / claimed_s >= ABSURD_BPS)
        return SOURCE_CUT_OFF;
    return scan->bytes < file_bytes / 2 ? SOURCE_DAMAGED : SOURCE_CLAIMED;
}

void source_settle(struct probe *probe, const struct scan *scan)
{
    const struct scan_stream *video = scan_find(scan, probe->video_index);
    const struct scan_stream *audio = probe->audio.count > 0
                                          ? scan_find(scan, probe->audio.tracks[0].index)
                                          : NULL;
    if (video && video->end_s > 0)
        probe->video_s = probe->duration_s = video->end_s;
    if (audio && audio->end_s > probe->duration_s)
        probe->duration_s = audio->end_s;
}

/* ---- pure: what can never be a video --------------------------------------------------------- */

static void upper(const char *word, char text[PROBE_NAME_BYTES])
{
    size_t i = 0;
    for (; i < PROBE_NAME_BYTES - 1 && word[i]; i++)
        text[i] = (char)toupper((unsigned char)word[i]);
    text[i] = '\0';
}

static bool is_still_image(const struct probe *probe, const struct scan *scan)
{
    static const char *const names[] = {"gif", "png", "jpeg", "webp", NULL};
    return is_one_of(probe->format, names) && packets_of(scan, probe->video_index) <= 1;
}

static int check_kind(const struct probe *probe, const struct scan *scan, struct error *err)
{
    char codec[PROBE_NAME_BYTES];
    upper(probe->video_codec, codec);
    if (probe->encrypted)
        return error_set(err, ERROR_PERMANENT, 0, "the video is encrypted");
    if (!probe->video_codec[0])
        return error_set(err, ERROR_PERMANENT, 0,
                         "ffmpeg does not know the video's codec (%s in the file)",
                         probe->video_tag[0] ? probe->video_tag : "unnamed");
    if (is_still_image(probe, scan))
        return error_set(err, ERROR_PERMANENT, 0, "it is a still image, not a video (%s)", codec);
    if (packets_of(scan, probe->video_index) == 0)
        return error_set(err, ERROR_PERMANENT, 0, "the video stream has no frames%s%s",
                         scan->complaint[0] ? ": " : "", scan->complaint);
    return 0;
}

/* ---- with ffprobe and ffmpeg ----------------------------------------------------------------- */

static void read_claim(const struct session *session, const char *path, struct probe *probe)
{
    unsigned char head[SOURCE_HEAD_BYTES];
    FD(fd) = openat(session->dir, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
    if (size > 0)
        probe->duration_s = fmax(probe->duration_s, source_avi_claims_s(head, (size_t)size));
}

static int probe_and_scan(struct session *session, const char *path, struct probe *probe,
                          struct scan *scan, struct error *err)
{
    if (probe_source(session, path, -1, probe, err) < 0 ||
        scan_source(session, path, probe, scan, err) < 0)
        return -1;
    int video = source_pick_video(probe, scan);
    if (video == probe->video_index)
        return 0;
    log_info("step.video_stream_changed", LOG_INT("stream", video),
             LOG_INT("instead_of", probe->video_index));
    return probe_source(session, path, video, probe, err);
}

static int accept_cut(const struct session *session, double there_s, double claimed_s,
                      struct tailslate_warnings *warnings, struct error *err)
{
    if (!session->config->transcode.accept_truncated || there_s <= 0)
        return error_set(err, ERROR_PERMANENT, 0, "the file is truncated at about %.0f s of %.0f s",
                         there_s, claimed_s);
    tailslate_warnings_add(warnings,
                           "the file is truncated at about %.0f s of %.0f s; published because "
                           "transcode.accept_truncated is set",
                           there_s, claimed_s);
    return 0;
}

static int check_length(struct session *session, const char *path, const struct probe *probe,
                        const struct scan *scan, struct tailslate_warnings *warnings,
                        struct error *err)
{
    struct stat status = {0};
    double claimed_s = probe->duration_s, there_s = source_end_s(scan);
    fstatat(session->dir, path, &status, AT_SYMLINK_NOFOLLOW);
    switch (source_judge_length(probe, scan, status.st_size)) {
    case SOURCE_WHOLE:
        break;
    case SOURCE_CLAIMED:
        tailslate_warnings_add(warnings, "the file claims a duration of %.0f s but contains %.1f s",
                               claimed_s, there_s);
        break;
    case SOURCE_CUT_OFF:
        return accept_cut(session, there_s, claimed_s, warnings, err);
    case SOURCE_DAMAGED:
        return error_set(err, ERROR_PERMANENT, 0,
                         "the file is damaged: it can be read up to %.0f s of %.0f s%s%s", there_s,
                         claimed_s, scan->complaint[0] ? ": " : "", scan->complaint);
    }
    if (there_s > 0 || claimed_s > 0)
        return 0;
    return error_set(err, ERROR_PERMANENT, 0, "the duration cannot be determined");
}

int source_examine(struct session *session, const char *path, struct probe *probe,
                   struct scan *scan, struct tailslate_warnings *warnings, struct error *err)
{
    if (probe_and_scan(session, path, probe, scan, err) < 0 || check_kind(probe, scan, err) < 0)
        return -1;
    read_claim(session, path, probe);
    if (check_length(session, path, probe, scan, warnings, err) < 0)
        return -1;
    return 0;
}

/* ---- audio tracks ---------------------------------------------------------------------------- */

static void push_test(const struct config *config, const char *source,
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
    argv_push(argv, "%d", AUDIO_TEST_FRAMES);
    for (size_t i = 0; i < sizeof tail / sizeof tail[0]; i++)
        argv_push(argv, "%s", tail[i]);
}

/* 1: it can be decoded; 0: not with this mix, or not in time; -1: the claim is lost. */
static int try_once(struct session *session, const char *source, const struct audio_track *track,
                    struct error *err)
{
    struct argv argv = {0};
    double decoded_s;
    push_test(session->config, source, track, &argv);
    int result = probe_run_measure(session, &argv, AUDIO_TEST_LIMIT_MS, &decoded_s, err);
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

static int drop_undecodable(struct session *session, const char *path, struct audio *audio,
                            struct error *err)
{
    size_t retained = 0;
    int64_t deadline = session_work_ms(session) + AUDIO_TEST_ALL_MS;
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

int source_choose_audio(struct session *session, const char *path, struct probe *source,
                        struct tailslate_warnings *warnings, struct error *err)
{
    if (source->audio_streams == 0)
        return 0;
    const char *codec = source->audio.count > 0 ? source->audio.tracks[0].codec : "unknown codec";
    if (drop_undecodable(session, path, &source->audio, err) < 0)
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
