#include "agent/media/probe.h"

#include "agent/api/session.h"
#include "agent/base/argv.h"
#include "agent/base/config.h"
#include "agent/base/progress.h"
#include "agent/media/probe_parse.h"
#include "agent/media/reason.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- running ffprobe ------------------------------------------------------------------------- */

/* Only the entries that are read below, so that a huge tag never reaches us. */
#define ENTRIES                                                                                    \
    "format=format_name,duration,start_time:stream=index,codec_type,codec_name,codec_tag_string,"  \
    "pix_fmt,width,height,sample_aspect_ratio,duration,r_frame_rate,avg_frame_rate,field_order,"   \
    "color_transfer,channels,channel_layout,sample_rate:"                                          \
    "stream_tags=DURATION,language,title:stream_disposition=attached_pic,default,comment,"         \
    "visual_impaired,hearing_impaired,clean_effects,karaoke,lyrics:stream_side_data=rotation:"     \
    "packet=stream_index:packet_side_data=side_data_type"
#define FIRST_PACKETS "%+#20"

static int read_answer(int fd, char **text, size_t *size, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_errno(err, "cannot read ffprobe's output");
    if (status.st_size >= PROBE_ANSWER_MAX_BYTES)
        return error_set(err, ERROR_PERMANENT, 0, "ffprobe's output is too large");
    *size = (size_t)status.st_size;
    *text = must_calloc(1, *size + 1);
    ssize_t got = pread(fd, *text, *size, 0);
    if (got == (ssize_t)*size)
        return 0;
    free(steal_text(text));
    return error_set(err, ERROR_TEMPORARY, 0, "cannot read ffprobe's output");
}

/* The reason why ffprobe refused the source. */
static int refused(int log_fd, struct error *err)
{
    char line[REASON_LINE_BYTES];
    reason_read_line(log_fd, 0, line);
    const char *why = strncmp(line, "file:", 5) == 0 ? strstr(line, ": ") : NULL;
    reason_of_line(why ? why + 2 : line, "the source cannot be read as a video", err);
    if (err->class == ERROR_TEMPORARY && err->code == 0)
        err->class = ERROR_PERMANENT;
    return -1;
}

/* A missing library, a crash, no memory: says nothing about the video. */
static int cannot_run(int log_fd, struct child_exit how, struct error *err)
{
    char end[64], line[CHILD_LAST_LINE_BYTES];
    child_describe(how, end, sizeof end);
    child_last_line(log_fd, line);
    return error_set(err, ERROR_TEMPORARY, 0, "ffprobe ended with %s%s%s", end, line[0] ? ": " : "",
                     line);
}

static int run_probe(struct session *session, struct argv *argv, int video, struct probe *probe,
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
    return probe_parse(text, size, video, probe, err) == PROBE_VIDEO ? 0 : -1;
}

/* formats: the containers that may be opened. */
static void push_common(struct argv *argv, const char *program, const char *formats)
{
    argv_push(argv, "%s", program);
    argv_push(argv, "-v");
    argv_push(argv, "error");
    argv_push(argv, "-of");
    argv_push(argv, "json=c=1");
    argv_push(argv, "-show_entries");
    argv_push(argv, ENTRIES);
    argv_push(argv, "-read_intervals");
    argv_push(argv, "%s", FIRST_PACKETS);
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
    int result = run_probe(session, &argv, -1, probe, err);
    argv_fini(&argv);
    return result < 0 ? error_wrap(err, "%s", path) : 0;
}

int probe_source(struct session *session, const char *path, int video, struct probe *probe,
                 struct error *err)
{
    struct argv argv = {0};
    push_common(&argv, session->config->transcode.ffprobe, PROBE_FORMATS);
    argv_push(&argv, "file:%s", path);
    int result = run_probe(session, &argv, video, probe, err);
    argv_fini(&argv);
    return result;
}

/* ---- durations ------------------------------------------------------------------------------- */

/* How far an ffmpeg that only reads gets. */
/* Reads a file once without decoding. */
static void push_measure(struct argv *argv, const char *program, const char *path)
{
    const char *const head[] = {program, "-hide_banner",        "-nostdin", "-nostats", "-v",
                                "fatal", "-protocol_whitelist", "file,pipe"};
    const char *const tail[] = {"-map", "0:v:0",     "-c",     "copy", "-f",
                                "null", "-progress", "pipe:1", "-"};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        argv_push(argv, "%s", head[i]);
    argv_push(argv, "-format_whitelist");
    argv_push(argv, "%s", PROBE_PLAYLIST_FORMATS);
    argv_push(argv, "-i");
    argv_push(argv, "file:%s", path);
    for (size_t i = 0; i < sizeof tail / sizeof tail[0]; i++)
        argv_push(argv, "%s", tail[i]);
}

int probe_run_measure(struct session *session, struct argv *argv, int64_t limit_ms,
                      double *reached_s, struct error *err)
{
    FD(answer_fd) = memfd_create("ffmpeg", MFD_CLOEXEC);
    FD(null_fd) = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (answer_fd < 0 || null_fd < 0)
        return error_errno(err, "memfd");
    struct child_options options = {
        .argv = argv->items,
        .directory = session->dir,
        .out_fd = answer_fd,
        .err_fd = null_fd,
        .sandbox = {.file_limit_bytes = PROBE_MEASURE_MAX_BYTES,
                    .data_limit_bytes = PROBE_MEMORY_MAX_BYTES},
    };
    struct child_exit how;
    if (session_run_child(session, &options, limit_ms, &how, err) < 0)
        return -1;
    struct progress progress = {0};
    if (!progress_read(answer_fd, &progress) || progress.out_time_s <= 0)
        return error_set(err, ERROR_PERMANENT, 0, "the duration cannot be determined");
    *reached_s = progress.out_time_s;
    return 0;
}

int probe_measure_playlist(struct session *session, const char *path, struct probe *probe,
                           struct error *err)
{
    struct argv argv = {0};
    push_measure(&argv, session->config->transcode.ffmpeg, path);
    int result = probe_run_measure(session, &argv, PROBE_MEASURE_LIMIT_MS, &probe->duration_s, err);
    argv_fini(&argv);
    return result;
}

int probe_measure_decoded(struct session *session, const char *path, const struct probe *probe,
                          double *decoded_s, struct error *err)
{
    const char *const head[] = {session->config->transcode.ffmpeg,
                                "-hide_banner",
                                "-nostdin",
                                "-nostats",
                                "-v",
                                "fatal",
                                "-protocol_whitelist",
                                "file,pipe",
                                "-format_whitelist"};
    const char *const tail[] = {"-f", "null", "-progress", "pipe:1", "-"};
    struct argv argv = {0};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        argv_push(&argv, "%s", head[i]);
    argv_push(&argv, "%s", PROBE_FORMATS);
    argv_push(&argv, "-i");
    argv_push(&argv, "file:%s", path);
    argv_push(&argv, "-map");
    argv_push(&argv, "0:%d", probe->video_index);
    for (size_t i = 0; i < sizeof tail / sizeof tail[0]; i++)
        argv_push(&argv, "%s", tail[i]);
    int result = probe_run_measure(session, &argv, PROBE_MEASURE_LIMIT_MS, decoded_s, err);
    argv_fini(&argv);
    return result;
}
