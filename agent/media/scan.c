#include "agent/media/scan.h"

#include "agent/api/session.h"
#include "agent/base/argv.h"
#include "agent/media/reason.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

/* ---- pure: parsing the list ------------------------------------------------------------------ */

const struct scan_stream *scan_find(const struct scan *scan, int index)
{
    for (size_t i = 0; i < scan->count; i++)
        if (scan->streams[i].index == index && scan->streams[i].packets > 0)
            return &scan->streams[i];
    return NULL;
}

/* "#tb 0: 1/12800" */
static void take_tick(struct scan *scan, const char *line)
{
    size_t number;
    double above, below;
    if (sscanf(line, "#tb %zu: %lf/%lf", &number, &above, &below) == 3 && number < scan->count &&
        above > 0 && below > 0)
        scan->tick_s[number] = above / below;
}

/* "0, 1024, 2048, 512, 3301, 0x5a1b2c3d": stream, dts, pts, duration, size. If a packet starts
 * before the beginning (an edit list skips it), only its end counts. */
void scan_take_packet(struct scan *scan, const char *line)
{
    size_t number;
    long long dts, pts, duration, size;
    if (line[0] == '#') {
        take_tick(scan, line);
        return;
    }
    if (sscanf(line, "%zu, %lld, %lld, %lld, %lld,", &number, &dts, &pts, &duration, &size) != 5 ||
        number >= scan->count || size < 0)
        return;
    struct scan_stream *stream = &scan->streams[number];
    double tick_s = scan->tick_s[number], start_s = (double)pts * tick_s;
    double end_s = (double)(pts + (duration > 0 ? duration : 0)) * tick_s;
    if (start_s >= 0 && (stream->start_s < 0 || start_s < stream->start_s))
        stream->start_s = start_s;
    if (end_s > stream->end_s)
        stream->end_s = end_s;
    stream->packets++;
    stream->bytes += size;
    scan->bytes += size;
}

void scan_take_error(struct scan *scan, const char *line)
{
    scan->is_partial |= reason_says_partial(line);
    if (!scan->complaint[0] && reason_is_telling(line))
        snprintf(scan->complaint, sizeof scan->complaint, "%s", line);
}

enum { SCAN_WAIT_MS = 1000 };

/* ---- running ffmpeg -------------------------------------------------------------------------- */

struct pipe_reader {
    int fd;
    size_t size;
    char line[SCAN_LINE_BYTES];
    void (*take)(struct scan *scan, const char *line);
};

static void take_bytes(struct pipe_reader *reader, struct scan *scan, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n') {
            reader->line[reader->size] = '\0';
            reader->take(scan, reader->line);
            reader->size = 0;
        } else if (reader->size < SCAN_LINE_BYTES - 1) {
            reader->line[reader->size++] = data[i];
        }
    }
}

/* At most one pipe buffer: the claim is extended between two reads. */
static bool read_some(struct pipe_reader *reader, struct scan *scan)
{
    char data[64 * 1024];
    ssize_t got = read(reader->fd, data, sizeof data);
    if (got > 0)
        take_bytes(reader, scan, data, (size_t)got);
    return got > 0;
}

static void push_scan(struct argv *argv, const struct config *config, const char *path,
                      const struct scan *scan)
{
    const char *const head[] = {
        config->transcode.ffmpeg, "-hide_banner", "-nostdin",         "-nostats", "-v", "error",
        "-protocol_whitelist",    "file,pipe",    "-format_whitelist"};
    const char *const tail[] = {"-c", "copy", "-copyinkf", "-f", "framecrc", "pipe:1"};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        argv_push(argv, "%s", head[i]);
    argv_push(argv, "%s", PROBE_FORMATS);
    argv_push(argv, "-i");
    argv_push(argv, "file:%s", path);
    for (size_t i = 0; i < scan->count; i++) {
        argv_push(argv, "-map");
        argv_push(argv, "0:%d", scan->streams[i].index);
    }
    for (size_t i = 0; i < sizeof tail / sizeof tail[0]; i++)
        argv_push(argv, "%s", tail[i]);
}

static int supervise(struct session *session, struct child *child, struct pipe_reader readers[2],
                     struct scan *scan, struct error *err)
{
    struct child_exit how;
    bool is_stopped = false;
    int64_t deadline = session_work_ms(session) + SCAN_LIMIT_MS;
    while (!child_wait(child, 0, &how)) {
        bool is_late = session_work_ms(session) >= deadline;
        session_pause_child(session, child, &is_stopped);
        if (is_late || session->lost != TAILSLATE_PROBLEM_NONE) {
            child_stop(child);
            return is_late
                       ? error_set(err, ERROR_TEMPORARY, ETIMEDOUT,
                                   "reading the source took longer than %d s", SCAN_LIMIT_MS / 1000)
                       : error_set(err, ERROR_TEMPORARY, ECANCELED, "the claim is lost");
        }
        struct http_wait_fd watch[] = {{.fd = child->pidfd, .events = POLLIN},
                                       {.fd = readers[0].fd, .events = POLLIN},
                                       {.fd = readers[1].fd, .events = POLLIN}};
        session_wait(session, watch, 3, SCAN_WAIT_MS);
        read_some(&readers[0], scan);
        read_some(&readers[1], scan);
    }
    while (read_some(&readers[0], scan) || read_some(&readers[1], scan))
        ;
    scan->has_ended_well = !how.signalled && how.number == 0;
    return 0;
}

static int open_pipe(int ends[2], struct error *err)
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, "pipe");
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 ? 0 : error_errno(err, "pipe");
}

static int run(struct session *session, struct argv *argv, struct scan *scan, struct error *err)
{
    int list[2] = {-1, -1}, errors[2] = {-1, -1};
    struct child child = CHILD_INIT;
    int result = open_pipe(list, err) == 0 && open_pipe(errors, err) == 0 ? 0 : -1;
    struct child_options options = {
        .argv = argv->items,
        .directory = session->dir,
        .out_fd = list[1],
        .err_fd = errors[1],
        .sandbox = {.file_limit_bytes = PROBE_ANSWER_MAX_BYTES,
                    .data_limit_bytes = PROBE_MEMORY_MAX_BYTES},
    };
    struct pipe_reader readers[2] = {{.fd = list[0], .take = scan_take_packet},
                                     {.fd = errors[0], .take = scan_take_error}};
    session_await_unpause(session);
    if (result == 0)
        result = child_spawn(&options, &child, err);
    /* If we kept our ends open, the pipes would never end. */
    cleanup_fd(&list[1]);
    cleanup_fd(&errors[1]);
    if (result == 0)
        result = supervise(session, &child, readers, scan, err);
    cleanup_fd(&list[0]);
    cleanup_fd(&errors[0]);
    if (result < 0)
        err->class = ERROR_TEMPORARY;
    return result;
}

static int scan_streams(struct session *session, const char *path, const struct probe *probe,
                        int only, struct scan *scan, struct error *err)
{
    struct argv argv = {0};
    *scan = (struct scan){.count = 0};
    for (size_t i = 0; i < probe->stream_count; i++)
        if (only < 0 || probe->streams[i].index == only)
            scan->streams[scan->count++] = (struct scan_stream){.index = probe->streams[i].index,
                                                                .start_s = -1};
    if (scan->count == 0)
        return 0;
    push_scan(&argv, session->config, path, scan);
    int result = run(session, &argv, scan, err);
    argv_fini(&argv);
    return result;
}

int scan_source(struct session *session, const char *path, const struct probe *probe,
                struct scan *scan, struct error *err)
{
    if (scan_streams(session, path, probe, -1, scan, err) < 0)
        return -1;
    if (scan->bytes > 0 || scan->has_ended_well)
        return 0;
    /* One track that cannot be copied stops all of them: then scan the video alone. */
    return scan_streams(session, path, probe, probe->video_index, scan, err);
}
