#include "agent/media/probe_parse.h"

#include "lib/json.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE_LIMIT_PX = 65535, SECONDS_MAX = 365 * 24 * 3600, CHANNELS_LIMIT = 1024 };

static void take_name(const struct json *node, const char *key, char word[PROBE_NAME_BYTES])
{
    const char *text;
    word[0] = '\0';
    if (json_get_text(node, key, PROBE_NAME_BYTES - 1, &text) == JSON_FOUND)
        snprintf(word, PROBE_NAME_BYTES, "%s", text);
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

/* "30000/1001", "64:45"; 0 if it is not a ratio. */
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

static int stream_index(const struct json *stream)
{
    int64_t index = -1;
    json_get_int(stream, "index", 0, 10000, &index);
    return (int)index;
}

/* The requested stream; otherwise the first of its kind, a default one before the others. Cover art
 * does not count as video. */
static const struct json *pick_stream(const struct json *streams, const char *kind, int wanted,
                                      bool *has_cover)
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
        if (wanted >= 0 && stream_index(stream) == wanted)
            return stream;
        if (!picked || (has_disposition(stream, "default") && !has_disposition(picked, "default")))
            picked = stream;
    }
    return picked;
}

/* In quarter turns, in both directions; other angles are rounded. */
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
    /* More than 16:1 means damage, not an anamorphic video. */
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

/* A track of which nothing is known, such as one without packets, cannot even be copied. */
static bool is_identified(const struct json *stream, bool is_video)
{
    const char *rate;
    int64_t width = 0;
    if (is_video)
        return json_get_int(stream, "width", 1, SIDE_LIMIT_PX, &width) == JSON_FOUND;
    return json_get_text(stream, "sample_rate", PROBE_NAME_BYTES - 1, &rate) == JSON_FOUND &&
           strcmp(rate, "0") != 0;
}

static void list_stream(const struct json *stream, struct probe *probe)
{
    bool is_video = is_kind(stream, "video");
    int64_t width = 0, height = 0;
    if ((!is_video && !is_kind(stream, "audio")) || has_disposition(stream, "attached_pic") ||
        stream_index(stream) < 0 || !is_identified(stream, is_video) ||
        probe->stream_count == PROBE_STREAMS_MAX)
        return;
    json_get_int(stream, "width", 1, SIDE_LIMIT_PX, &width);
    json_get_int(stream, "height", 1, SIDE_LIMIT_PX, &height);
    probe->streams[probe->stream_count++] = (struct probe_stream){
        .index = stream_index(stream), .is_video = is_video, .pixels = width * height};
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
    char layout[PROBE_NAME_BYTES];
    take_name(stream, "codec_name", track.codec);
    /* A track that could not be identified has no codec. */
    if (!track.codec[0] || track.index < 0 || audio->count == AUDIO_TRACKS_MAX)
        return;
    take_name(stream, "channel_layout", layout);
    take_name(tags, "language", track.language);
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

/* MP4's common encryption, and what iTunes sold. */
static bool is_encrypted_tag(const char *tag)
{
    return strcmp(tag, "encv") == 0 || strcmp(tag, "drmi") == 0;
}

/* CENC-protected video is decoded to noise: only its packets show it (some of the first are read).
 */
static bool has_encrypted_packet(const struct json *root, int video)
{
    const struct json *packets = json_get(root, "packets");
    for (const struct json *packet = json_first(packets); packet; packet = json_next(packet)) {
        int64_t stream = -1;
        json_get_int(packet, "stream_index", 0, 10000, &stream);
        const struct json *list = json_get(packet, "side_data_list");
        for (const struct json *at = json_first(list); stream == video && at; at = json_next(at)) {
            const char *type = json_text(json_get(at, "side_data_type"));
            if (type && strcmp(type, "Encryption info") == 0)
                return true;
        }
    }
    return false;
}

static void take_words(const struct json *root, const struct json *video, struct probe *probe)
{
    const struct json *streams = json_get(root, "streams");
    for (const struct json *stream = json_first(streams); stream; stream = json_next(stream))
        list_stream(stream, probe);
    take_name(json_get(root, "format"), "format_name", probe->format);
    take_name(video, "codec_tag_string", probe->video_tag);
    take_name(video, "codec_name", probe->video_codec);
    if (strcmp(probe->video_codec, "unknown") == 0 || strcmp(probe->video_codec, "none") == 0)
        probe->video_codec[0] = '\0';
    take_name(video, "pix_fmt", probe->pixel_format);
    probe->encrypted = is_encrypted_tag(probe->video_tag) ||
                       has_encrypted_packet(root, probe->video_index);
}

static enum probe_verdict no_video(const struct json *audio, bool has_cover, struct error *err)
{
    char codec[PROBE_NAME_BYTES] = "";
    if (audio)
        take_name(audio, "codec_name", codec);
    for (char *at = codec; *at; at++)
        *at = (char)toupper((unsigned char)*at);
    error_set(err, ERROR_PERMANENT, 0, "the source has no video stream%s%s%s",
              audio ? ": it is audio only, " : "", codec, has_cover ? ", with cover art" : "");
    return PROBE_NO_VIDEO;
}

static enum probe_verdict take_streams(const struct json *root, int wanted, struct probe *probe,
                                       struct error *err)
{
    bool has_cover = false;
    const struct json *streams = json_get(root, "streams");
    const struct json *video = pick_stream(streams, "video", wanted, &has_cover);
    const struct json *audio = pick_stream(streams, "audio", -1, &has_cover);
    if (!video)
        return no_video(audio, has_cover, err);
    *probe = (struct probe){.video_index = stream_index(video)};
    if (probe->video_index < 0 || take_size(video, probe, err) < 0) {
        error_set(err, ERROR_PERMANENT, 0, "the source's video stream has no usable size");
        return PROBE_UNREADABLE;
    }
    take_times(root, video, probe);
    take_words(root, video, probe);
    char order[PROBE_NAME_BYTES], transfer[PROBE_NAME_BYTES];
    take_name(video, "color_transfer", transfer);
    probe->range = strcmp(transfer, "smpte2084") == 0      ? PROBE_RANGE_PQ
                   : strcmp(transfer, "arib-std-b67") == 0 ? PROBE_RANGE_HLG
                                                           : PROBE_RANGE_SDR;
    take_name(video, "field_order", order);
    probe->interlaced = order[0] && strcmp(order, "progressive") != 0 &&
                        strcmp(order, "unknown") != 0;
    take_audio(streams, probe);
    return PROBE_VIDEO;
}

enum probe_verdict probe_parse(const char *json, size_t size, int video, struct probe *probe,
                               struct error *err)
{
    struct error why;
    JSON(root) = json_parse(json, size, &why);
    /* For a file without streams the list is empty. Output without a list, or truncated, is invalid
     * and says nothing about the video. */
    if (!root || !json_is_array(json_get(root, "streams"))) {
        error_set(err, ERROR_TEMPORARY, 0, "ffprobe's output is invalid: %s",
                  root ? "it has no streams" : why.message);
        return PROBE_UNREADABLE;
    }
    return take_streams(root, video, probe, err);
}
