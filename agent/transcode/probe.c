#include "probe.h"

#include "argv.h"
#include "config.h"
#include "session.h"

#include "tailslate/cleanup.h"
#include "tailslate/json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- pure: understanding the answer ---------------------------------------------------------- */

enum { SIDE_LIMIT_PX = 65535, SECONDS_MAX = 365 * 24 * 3600, CHANNELS_LIMIT = 1024 };

static void take_word(const struct json *node, const char *key, char word[PROBE_WORD_BYTES])
{
    const char *text;
    word[0] = '\0';
    if (json_get_text(node, key, PROBE_WORD_BYTES - 1, &text) == JSON_FOUND)
        snprintf(word, PROBE_WORD_BYTES, "%s", text);
}

static double text_seconds(const char *text)
{
    double value = 0, hours = 0, minutes = 0;
    char end;
    if (sscanf(text, "%lf:%lf:%lf%c", &hours, &minutes, &value, &end) == 3)
        value += hours * 3600 + minutes * 60;
    else if (sscanf(text, "%lf%c", &value, &end) != 1)
        return 0;
    return isfinite(value) && value > 0 && value < SECONDS_MAX ? value : 0;
}

static double get_seconds(const struct json *node, const char *key)
{
    const char *text;
    return json_get_text(node, key, 64, &text) == JSON_FOUND ? text_seconds(text) : 0;
}

/* "30000/1001", "64:45"; 0 where it is none. */
static double get_ratio(const struct json *node, const char *key)
{
    const char *text;
    double above = 0, below = 0;
    if (json_get_text(node, key, 64, &text) != JSON_FOUND ||
        sscanf(text, "%lf%*1[/:]%lf", &above, &below) != 2 || above <= 0 || below <= 0)
        return 0;
    return above / below;
}

static bool is_kind(const struct json *stream, const char *kind)
{
    const char *text;
    return json_get_text(stream, "codec_type", 16, &text) == JSON_FOUND && strcmp(text, kind) == 0;
}

static bool has_disposition(const struct json *stream, const char *name)
{
    int64_t value = 0;
    return json_get_int(json_get(stream, "disposition"), name, 0, 1, &value) == JSON_FOUND &&
           value == 1;
}

/* The first of its kind, a default one before the others. Cover art is no video. */
static const struct json *pick_stream(const struct json *streams, const char *kind, bool *has_cover)
{
    const struct json *picked = NULL;
    for (int i = 0; i < json_count(streams); i++) {
        const struct json *stream = json_at(streams, i);
        if (!is_kind(stream, kind))
            continue;
        if (has_disposition(stream, "attached_pic")) {
            *has_cover = true;
            continue;
        }
        if (!picked || (has_disposition(stream, "default") && !has_disposition(picked, "default")))
            picked = stream;
    }
    return picked;
}

/* In quarters, to either side; what is no multiple of 90 degrees is rounded. */
static long quarter_turns(const struct json *stream)
{
    const struct json *list = json_get(stream, "side_data_list");
    for (int i = 0; i < json_count(list); i++) {
        double degrees;
        if (json_get_number(json_at(list, i), "rotation", -3600, 3600, &degrees) == JSON_FOUND)
            return lround(fabs(degrees) / 90) % 4;
    }
    return 0;
}

static int take_size(const struct json *video, struct probe *probe, struct error *err)
{
    if (json_get_int(video, "width", 1, SIDE_LIMIT_PX, &probe->coded_width) != JSON_FOUND ||
        json_get_int(video, "height", 1, SIDE_LIMIT_PX, &probe->coded_height) != JSON_FOUND)
        return error_set(err, ERROR_PERMANENT, 0, "the video has no usable size");
    double aspect = get_ratio(video, "sample_aspect_ratio");
    /* Over 16:1 is damage, not an anamorphic film. */
    if (aspect == 0 || aspect > 16 || aspect < 1.0 / 16)
        aspect = 1;
    probe->width = (int64_t)lround((double)probe->coded_width * aspect);
    probe->height = probe->coded_height;
    long turns = quarter_turns(video);
    probe->turned = turns != 0;
    if (turns & 1) {
        int64_t width = probe->width;
        probe->width = probe->height;
        probe->height = width;
    }
    if (probe->width < 1 || probe->width > SIDE_LIMIT_PX)
        return error_set(err, ERROR_PERMANENT, 0, "the video has no usable size");
    return 0;
}

static void take_times(const struct json *root, const struct json *video, struct probe *probe)
{
    const struct json *format = json_get(root, "format");
    probe->duration_s = get_seconds(video, "duration");
    if (probe->duration_s == 0)
        probe->duration_s = get_seconds(json_get(video, "tags"), "DURATION");
    if (probe->duration_s == 0)
        probe->duration_s = get_seconds(format, "duration");
    probe->start_s = get_seconds(format, "start_time");
    probe->frame_rate = get_ratio(video, "avg_frame_rate");
    probe->tick_rate = get_ratio(video, "r_frame_rate");
    if (probe->frame_rate == 0)
        probe->frame_rate = probe->tick_rate;
}

static int stream_index(const struct json *stream)
{
    int64_t index = -1;
    json_get_int(stream, "index", 0, 10000, &index);
    return (int)index;
}

static bool is_secondary(const struct json *stream, const char *title)
{
    static const char *const names[] = {"comment",       "visual_impaired", "hearing_impaired",
                                        "clean_effects", "karaoke",         "lyrics"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (has_disposition(stream, names[i]))
            return true;
    return audio_title_is_secondary(title);
}

static void take_track(const struct json *stream, struct audio *audio)
{
    struct audio_track track = {.index = stream_index(stream),
                                .is_default = has_disposition(stream, "default")};
    const struct json *tags = json_get(stream, "tags");
    const char *text;
    char layout[PROBE_WORD_BYTES];
    take_word(stream, "codec_name", track.codec);
    /* A track that could not even be identified has no codec. */
    if (!track.codec[0] || track.index < 0 || audio->count == AUDIO_TRACKS_MAX)
        return;
    take_word(stream, "channel_layout", layout);
    take_word(tags, "language", track.language);
    if (json_get_text(tags, "title", sizeof track.title - 1, &text) == JSON_FOUND)
        snprintf(track.title, sizeof track.title, "%s", text);
    json_get_int(stream, "channels", 0, CHANNELS_LIMIT, &track.channels);
    track.mix = audio_mix_of(track.channels, layout);
    track.is_secondary = is_secondary(stream, track.title);
    track.describes_video = has_disposition(stream, "visual_impaired");
    audio->tracks[audio->count++] = track;
}

static void take_audio(const struct json *streams, struct probe *probe)
{
    for (int i = 0; i < json_count(streams); i++) {
        if (!is_kind(json_at(streams, i), "audio"))
            continue;
        probe->audio_streams++;
        take_track(json_at(streams, i), &probe->audio);
    }
    audio_sort(&probe->audio);
}

static enum probe_verdict take_streams(const struct json *root, struct probe *probe,
                                       struct error *err)
{
    bool has_cover = false;
    const struct json *streams = json_get(root, "streams");
    const struct json *video = pick_stream(streams, "video", &has_cover);
    const struct json *audio = pick_stream(streams, "audio", &has_cover);
    if (!video) {
        error_set(err, ERROR_PERMANENT, 0, "the source has no video stream%s",
                  audio && has_cover ? " (it has sound and a cover picture)"
                  : audio            ? " (it has sound only)"
                                     : "");
        return PROBE_NO_VIDEO;
    }
    *probe = (struct probe){.video_index = stream_index(video)};
    if (probe->video_index < 0 || take_size(video, probe, err) < 0) {
        error_set(err, ERROR_PERMANENT, 0, "the source's video stream has no usable size");
        return PROBE_UNREADABLE;
    }
    take_times(root, video, probe);
    take_word(video, "codec_name", probe->video_codec);
    take_word(video, "pix_fmt", probe->pixel_format);
    char order[PROBE_WORD_BYTES], transfer[PROBE_WORD_BYTES];
    take_word(video, "color_transfer", transfer);
    probe->range = strcmp(transfer, "smpte2084") == 0      ? PROBE_RANGE_PQ
                   : strcmp(transfer, "arib-std-b67") == 0 ? PROBE_RANGE_HLG
                                                           : PROBE_RANGE_SDR;
    take_word(video, "field_order", order);
    probe->interlaced = order[0] && strcmp(order, "progressive") != 0 &&
                        strcmp(order, "unknown") != 0;
    take_audio(streams, probe);
    return PROBE_FILM;
}

enum probe_verdict probe_parse(const char *json, size_t size, struct probe *probe,
                               struct error *err)
{
    struct error why;
    JSON(root) = json_parse(json, size, &why);
    /* Of a file without streams the list is empty: without a list, or cut, it is no answer, and
     * says nothing about the film. */
    if (!root || !json_is_array(json_get(root, "streams"))) {
        error_set(err, ERROR_TEMPORARY, 0, "ffprobe's answer is no answer: %s",
                  root ? "it has no streams" : why.message);
        return PROBE_UNREADABLE;
    }
    return take_streams(root, probe, err);
}

/* ---- running ffprobe ------------------------------------------------------------------------- */

/* Only what is read above: an unbounded tag never reaches us. */
#define ENTRIES                                                                                    \
    "format=duration,start_time:stream=index,codec_type,codec_name,pix_fmt,width,height,"          \
    "sample_aspect_ratio,duration,r_frame_rate,avg_frame_rate,field_order,color_transfer,"         \
    "channels,channel_layout:"                                                                     \
    "stream_tags=DURATION,language,title:stream_disposition=attached_pic,default,comment,"         \
    "visual_impaired,hearing_impaired,clean_effects,karaoke,lyrics:stream_side_data=rotation"

static int read_answer(int fd, char **text, size_t *size, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_errno(err, "ffprobe's answer");
    if (status.st_size >= PROBE_ANSWER_MAX_BYTES)
        return error_set(err, ERROR_PERMANENT, 0, "ffprobe's answer is too large");
    *size = (size_t)status.st_size;
    *text = must_calloc(1, *size + 1);
    ssize_t got = pread(fd, *text, *size, 0);
    if (got == (ssize_t)*size)
        return 0;
    free(steal_text(text));
    return error_set(err, ERROR_TEMPORARY, 0, "ffprobe's answer cannot be read");
}

/* Why ffprobe refused: its last line without the file name in front. */
static int refused(int log_fd, struct error *err)
{
    char line[CHILD_LAST_LINE_BYTES];
    child_last_line(log_fd, line);
    const char *why = strncmp(line, "file:", 5) == 0 ? strstr(line, ": ") : NULL;
    return error_set(err, ERROR_PERMANENT, 0, "the source cannot be read as a film: %s",
                     why       ? why + 2
                     : line[0] ? line
                               : "ffprobe gave no reason");
}

/* A missing library, a crash, no memory: says nothing about the film. */
static int cannot_run(int log_fd, struct child_exit how, struct error *err)
{
    char end[64], line[CHILD_LAST_LINE_BYTES];
    child_describe(how, end, sizeof end);
    child_last_line(log_fd, line);
    return error_set(err, ERROR_TEMPORARY, 0, "ffprobe ended with %s%s%s", end, line[0] ? ": " : "",
                     line);
}

static int run_probe(struct session *session, struct argv *argv, struct probe *probe,
                     struct error *err)
{
    FD(answer_fd) = memfd_create("ffprobe", MFD_CLOEXEC);
    FD(log_fd) = memfd_create("ffprobe-log", MFD_CLOEXEC);
    if (answer_fd < 0 || log_fd < 0)
        return error_errno(err, "memfd");
    struct child_options options = {
        .argv = argv->items,
        .directory = session->dir,
        .out_fd = answer_fd,
        .err_fd = log_fd,
        .sandbox = {.file_limit_bytes = PROBE_ANSWER_MAX_BYTES,
                    .data_limit_bytes = PROBE_MEMORY_MAX_BYTES},
    };
    struct child_exit how;
    if (session_run_child(session, &options, PROBE_LIMIT_MS, &how, err) < 0)
        return -1;
    if (how.signalled || how.number > 1)
        return cannot_run(log_fd, how, err);
    if (how.number == 1)
        return refused(log_fd, err);
    TEXT(text) = NULL;
    size_t size = 0;
    if (read_answer(answer_fd, &text, &size, err) < 0)
        return -1;
    return probe_parse(text, size, probe, err) == PROBE_FILM ? 0 : -1;
}

/* formats: what may be opened. */
static void push_common(struct argv *argv, const char *program, const char *formats)
{
    argv_push(argv, "%s", program);
    argv_push(argv, "-v");
    argv_push(argv, "error");
    argv_push(argv, "-of");
    argv_push(argv, "json=c=1");
    argv_push(argv, "-show_entries");
    argv_push(argv, ENTRIES);
    argv_push(argv, "-protocol_whitelist");
    argv_push(argv, "file,pipe");
    argv_push(argv, "-format_whitelist");
    argv_push(argv, "%s", formats);
}

int probe_playlist(struct session *session, const char *path, struct probe *probe,
                   struct error *err)
{
    struct argv argv = {0};
    push_common(&argv, session->config->transcode.ffprobe, PROBE_PLAYLIST_FORMATS);
    argv_push(&argv, "file:%s", path);
    int result = run_probe(session, &argv, probe, err);
    argv_fini(&argv);
    return result < 0 ? error_wrap(err, "%s", path) : 0;
}

int probe_source(struct session *session, const char *path, struct probe *probe, struct error *err)
{
    struct argv argv = {0};
    push_common(&argv, session->config->transcode.ffprobe, PROBE_FORMATS);
    argv_push(&argv, "file:%s", path);
    int result = run_probe(session, &argv, probe, err);
    argv_fini(&argv);
    /* A live recording says nothing of its length. */
    if (result == 0 && probe->duration_s == 0)
        result = probe_measure(session, path, probe, err);
    return result;
}
