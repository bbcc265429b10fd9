#include "backlog.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define UUID "4f9c1b7e-8a51-4d0c-9b6e-2f7a3c5d1e90"
#define COMPLETION                                                                                 \
    "{\"qualities\":[{\"name\":\"720p\",\"width\":1280,\"height\":720,\"bitrate\":2500}],"         \
    "\"duration\":12.5,\"source_width\":1280,\"source_height\":720,"                               \
    "\"streaming_format\":\"cmaf\",\"streaming_codec\":\"h264\""

static void make_directory(int dir, const char *name)
{
    must(mkdirat(dir, name, 0700) == 0 || errno == EEXIST);
}

static int open_directory(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd >= 0);
    return fd;
}

static void write_file(int dir, const char *name, const char *text, int64_t sealed_s)
{
    FD(fd) = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct timespec times[] = {{.tv_sec = sealed_s}, {.tv_sec = sealed_s}};
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    must(futimens(fd, times) == 0);
}

static void write_record(int dir, int64_t job, int64_t sealed_s)
{
    TEXT(claim) = must_printf(
        "{\"token\":\"%" PRId64 "-" UUID "\",\"claimed_at\":\"2026-01-03T16:28:00.000000+00:00\","
        "\"claim\":{\"job_id\":%" PRId64 ",\"video_id\":3,\"video_slug\":\"a-film\","
        "\"video_duration\":12.5,\"source_width\":1280,\"source_height\":720,"
        "\"source_filename\":\"3.mp4\",\"existing_qualities\":null,\"claim_expires_at\":"
        "\"2026-01-03T18:28:00.000000+00:00\",\"claim_epoch\":4,\"attempt_number\":1,"
        "\"message\":\"recorded\"}}",
        job, job);
    TEXT(completion) = must_printf(COMPLETION ",\"completion_token\":\"%" PRId64 "-" UUID "\"}",
                                   job);
    write_file(dir, "claim.json", claim, sealed_s);
    write_file(dir, "outcome.json", "{\"completion\":" COMPLETION "},\"transcode_ms\":4321}",
               sealed_s);
    write_file(dir, "completion.json", completion, sealed_s);
}

void backlog_write(const char *state_dir, int64_t first_job, int count)
{
    int64_t now_s = time(NULL);
    FD(state) = open_directory(AT_FDCWD, state_dir);
    make_directory(state, "spool");
    FD(spool) = open_directory(state, "spool");
    for (int i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "%" PRId64 ".1", first_job + i);
        make_directory(spool, id);
        FD(dir) = open_directory(spool, id);
        write_record(dir, first_job + i, now_s - i);
    }
}

int backlog_count(const char *state_dir)
{
    int count = 0;
    TEXT(path) = must_printf("%s/spool", state_dir);
    DIRECTORY(list) = opendir(path);
    must(list);
    for (struct dirent *entry; (entry = readdir(list));)
        count += entry->d_name[0] != '.';
    return count;
}
