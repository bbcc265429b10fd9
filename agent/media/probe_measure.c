/* How far an ffmpeg that only reads gets. */
#include "agent/api/session.h"
#include "agent/base/progress.h"
#include "agent/media/probe.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <sys/mman.h>

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
