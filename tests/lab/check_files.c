/* Every job's and every record's end, and the files that the rows speak of. */
#include "check.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIGNALLED = 128, SIGN_BYTES = 36, FILE_MAX_BYTES = 64 << 20 };

/* ---- ends ------------------------------------------------------------------------------------ */

/* A transcode fails here for one reason: somebody killed it. */
static bool is_failure_explained(const struct evidence *evidence, int64_t job)
{
    const struct json *queue = row_by_number(evidence, "job_queue", "job_id", job);
    if (number(queue, "cancelled"))
        return orders(evidence, "cancel", job) > 0;
    return row_by_number(evidence, "failures", "job_id", job) &&
           faults_done(evidence, "kill-step") + faults_done(evidence, "kill-transcoder") +
                   faults_done(evidence, "kill-node") + faults_done(evidence, "crash-agent") >
               0;
}

static void check_end(struct evidence *evidence, int64_t job)
{
    const struct json *row = row_by_number(evidence, "transcoding_jobs", "id", job);
    const struct json *video = row_by_number(evidence, "videos", "id", number(row, "video_id"));
    if (!row && !is_deleted(evidence, job))
        complain(evidence, "P6", "job %lld is gone, and nobody deleted it", (long long)job);
    else if (row && !time_us(row, "completed_at"))
        complain(evidence, "P3", "job %lld has come to no end", (long long)job);
    else if (row && strcmp(text(video, "status"), "ready") == 0 &&
             !row_by_number(evidence, "completions", "job_id", job))
        complain(evidence, "P1", "job %lld is ready without a completion", (long long)job);
    else if (row && strcmp(text(video, "status"), "failed") == 0 &&
             !is_failure_explained(evidence, job))
        complain(evidence, "P3", "job %lld has failed for no reason of the schedule: %s",
                 (long long)job, text(row, "last_error"));
}

static bool is_on_record(const struct evidence *evidence, const struct json *finished)
{
    int64_t job = number(finished, "job"), epoch = number(finished, "epoch");
    EACH_ROW(evidence, row, "completions")
    if (strcmp(text(row, "token"), text(finished, "token")) == 0)
        return true;
    return completion_of(evidence, job, epoch) && has_second_token(evidence, job, epoch);
}

/* A transcode that has ended well is on record, or somebody else's order or claim came first. */
static void check_finished(struct evidence *evidence, const struct json *line)
{
    int64_t job = number(line, "job");
    for (const struct json *later = line_after(line, "finished", NULL); later;
         later = line_after(later, "finished", NULL))
        if (number(later, "node") == number(line, "node") &&
            strcmp(text(later, "record"), text(line, "record")) == 0)
            return; /* reclaimed: the later token counts */
    if (is_on_record(evidence, line) || is_deleted(evidence, job) ||
        is_lost(line, number(line, "node")) || last_epoch(evidence, job) > number(line, "epoch") ||
        orders(evidence, "cancel", job) > 0)
        return;
    complain(evidence, "P3",
             "job %lld: the transcode of claim %lld on node %lld ended well and "
             "is on no record",
             (long long)job, (long long)number(line, "epoch"), (long long)number(line, "node"));
}

void check_ends(struct evidence *evidence)
{
    EACH_LINE(evidence, quiet, "quiet", NULL)
    if (!flag(quiet, "calm"))
        complain(evidence, "P7", "the fleet did not come to rest in %lld ms after all was well",
                 (long long)number(quiet, "after_ms"));
    EACH_LINE(evidence, line, "added", NULL)
    check_end(evidence, number(line, "job"));
    EACH_LINE(evidence, line, "finished", NULL)
    check_finished(evidence, line);
    EACH_LINE(evidence, line, "ended", NULL)
    if (number(line, "status") != 0)
        complain(evidence, "end", "%s ended with status %lld", text(line, "program"),
                 (long long)number(line, "status"));
    EACH_LINE(evidence, line, "died", NULL)
    if (number(line, "status") > SIGNALLED && number(line, "status") != SIGNALLED + SIGKILL)
        complain(evidence, "end", "%s died by signal %lld", text(line, "program"),
                 (long long)number(line, "status") - SIGNALLED);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char *read_file(const char *path, size_t *size)
{
    struct stat status;
    STREAM(file) = fopen(path, "re");
    *size = 0;
    if (!file || fstat(fileno(file), &status) != 0 || status.st_size > FILE_MAX_BYTES)
        return must_calloc(1, 1);
    char *content = must_calloc(1, (size_t)status.st_size + 1);
    *size = fread(content, 1, (size_t)status.st_size, file);
    return content;
}

/* The last words of a file of the fake transcoder are its signature. */
struct rendition {
    struct evidence *evidence;
    const char *name;
    char directory[512], sign[SIGN_BYTES + 1];
    bool is_signed;
};

static char *check_file(struct rendition *rendition, const char *name)
{
    size_t size;
    TEXT(path) = must_printf("%s/%s", rendition->directory, name);
    char *content = read_file(path, &size);
    if (size == 0)
        complain(rendition->evidence, "P1", "%s is on record, and %s is not there", rendition->name,
                 path);
    if (size < SIGN_BYTES + 1 || !rendition->is_signed)
        return content;
    const char *sign = content + size - SIGN_BYTES - (content[size - 1] == '\n');
    if (rendition->sign[0] && memcmp(rendition->sign, sign, SIGN_BYTES) != 0)
        complain(rendition->evidence, "P4", "%s is of another transcode than the files beside it",
                 path);
    memcpy(rendition->sign, sign, SIGN_BYTES);
    return content;
}

static void check_rendition(struct evidence *evidence, const char *slug, const char *quality)
{
    struct rendition rendition = {.evidence = evidence, .name = slug};
    snprintf(rendition.directory, sizeof rendition.directory, "%s/videos/%s/%s",
             evidence->directory, slug, quality);
    rendition.is_signed = strcmp(text(first_line(evidence, "start", NULL), "transcoder"), "fake") ==
                          0;
    TEXT(playlist) = check_file(&rendition, "stream.m3u8");
    free(check_file(&rendition, "init.mp4"));
    char *rest = NULL;
    for (char *line = strtok_r(playlist, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        if (*line != '#')
            free(check_file(&rendition, line));
}

static void check_video(struct evidence *evidence, const struct json *video)
{
    int count = 0;
    if (strcmp(text(video, "status"), "ready") != 0)
        return;
    EACH_ROW(evidence, row, "video_qualities")
    {
        if (number(row, "video_id") != number(video, "id"))
            continue;
        check_rendition(evidence, text(video, "slug"), text(row, "quality"));
        count++;
    }
    if (count == 0)
        complain(evidence, "P1", "%s is ready without a rendition", text(video, "slug"));
}

static bool is_slug(const struct evidence *evidence, const char *name)
{
    EACH_ROW(evidence, video, "videos")
    if (strcmp(text(video, "slug"), name) == 0)
        return true;
    return false;
}

static int deletions(const struct evidence *evidence)
{
    int count = 0;
    EACH_LINE(evidence, line, "verb", NULL)
    count += strcmp(text(line, "verb"), "delete") == 0 && number(line, "status") / 100 != 4;
    return count;
}

/* Output of no video is what an operator deleted without its files, or what came after. */
static void check_orphans(struct evidence *evidence)
{
    int orphans = 0;
    TEXT(path) = must_printf("%s/videos", evidence->directory);
    DIRECTORY(handle) = opendir(path);
    for (struct dirent *entry; handle && (entry = readdir(handle)) != NULL;)
        orphans += entry->d_name[0] != '.' && !is_slug(evidence, entry->d_name);
    if (orphans > deletions(evidence))
        complain(evidence, "P6", "%d directories of output belong to no video", orphans);
}

/* What is left in a spool belongs to a job that an operator deleted: it is held, not dropped. */
static void check_spool(struct evidence *evidence, int64_t node, const char *name)
{
    TEXT(path) = must_printf("%s/agent-%lld/%s", evidence->directory, (long long)node, name);
    DIRECTORY(handle) = opendir(path);
    for (struct dirent *entry; handle && (entry = readdir(handle)) != NULL;) {
        int64_t job = strtoll(entry->d_name, NULL, 10);
        if (entry->d_name[0] != '.' && !is_deleted(evidence, job))
            complain(evidence, "P3", "node %lld has record %s left in %s", (long long)node,
                     entry->d_name, name);
    }
}

void check_files(struct evidence *evidence)
{
    EACH_ROW(evidence, video, "videos")
    check_video(evidence, video);
    check_orphans(evidence);
    for (int64_t node = 0; node < number(first_line(evidence, "start", NULL), "nodes"); node++) {
        if (is_lost(last_round(evidence), node))
            continue;
        check_spool(evidence, node, "spool");
        check_spool(evidence, node, "quarantine");
    }
}
