#include "agent/cli/fsck.h"

#include "agent/media/ladder.h"
#include "agent/spool/control_file.h"
#include "agent/spool/spool.h"
#include "agent/step/upload_record.h"
#include "base/playlist.h"
#include "base/text.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct fsck {
    struct spool spool;
    bool repairs, is_running;
    unsigned records, findings, repaired;
};

struct subject {
    struct fsck *fsck;
    const char *directory, *id;
    int directory_fd, dir;
    enum job_state state;
    bool is_at_work, is_corrupt;
};

static void __attribute__((format(printf, 3, 4)))
report(struct subject *subject, const char *remedy, const char *format, ...)
{
    TEXT(text) = NULL;
    va_list args;
    va_start(args, format);
    must(vasprintf(&text, format, args) >= 0);
    va_end(args);
    TEXT(plain) = text_plain(text);
    printf("%-10s %s: %s", subject->directory, subject->id, plain);
    printf("; %s %s\n", subject->fsck->repairs ? "repair:" : "--repair would:", remedy);
    subject->fsck->findings++;
}

/* ---- the format ------------------------------------------------------------------------------ */

static int check_reports(struct subject *subject, struct error *err)
{
    struct record_outcome outcome;
    TEXT(body) = NULL;
    size_t size;
    bool is_failure;
    enum tailslate_problem why;
    tailslate_quality_set missing;
    char detail[256];
    int dir = subject->dir;
    switch (subject->state) {
    case JOB_WRONG:
    case JOB_CLAIMED:
        return 0;
    case JOB_TRANSCODED:
        return record_read_outcome(dir, &outcome, err);
    case JOB_REOPENED:
        if (record_read_missing(dir, &missing, err) != 0)
            return -1;
        return record_check_sealed(dir, err);
    case JOB_SEALED:
        return record_check_sealed(dir, err);
    case JOB_FAILED:
        return record_read_sealed(dir, &body, &size, &is_failure, err);
    case JOB_LOST:
        return record_read_lost(dir, &why, detail, err);
    case JOB_ACKNOWLEDGED:
        return record_read_acknowledgment(dir, &body, &size, err);
    case JOB_STATE_COUNT:
        break;
    }
    return error_set(err, ERROR_BUG, 0, "unknown state");
}

static int check_form(struct subject *subject, struct error *err)
{
    struct record_claim claim;
    int64_t job_id;
    if (record_state(subject->dir, &subject->state, err) != 0 ||
        record_read_claim(subject->dir, &claim, err) != 0)
        return -1;
    if (!spool_is_id(subject->id, &job_id) || claim.claim.job_id != job_id)
        return error_set(err, ERROR_PERMANENT, EBADMSG, "its claim is for another job");
    return check_reports(subject, err);
}

static void check_format(struct subject *subject)
{
    struct error err;
    bool is_live = subject->directory_fd == subject->fsck->spool.live;
    if (check_form(subject, &err) == 0)
        return;
    subject->is_corrupt = true;
    if (!is_live) { /* records in quarantine may be broken: that is why they are there */
        if (subject->directory_fd == subject->fsck->spool.retained)
            report(subject, "leave it as it is", "%s", err.message);
        return;
    }
    report(subject, "move it to quarantine", "%s", err.message);
    if (!subject->fsck->repairs)
        return;
    struct error ignored;
    int done = subject->fsck->is_running
                   ? control_file_create(subject->dir, CONTROL_QUARANTINE, &ignored)
                   : spool_quarantine(&subject->fsck->spool, subject->id, err.message, &ignored);
    subject->fsck->repaired += done == 0;
}

/* ---- the work -------------------------------------------------------------------------------- */

static int check_file(int directory, const char *name, const struct upload_file *known,
                      struct error *err)
{
    char hex[HASH_HEX_BYTES];
    FD(fd) = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || hash_file(fd, hex, NULL, err) != 0)
        return fd < 0 ? error_errno(err, "%s", name) : -1;
    if (known && known->uploaded && !upload_file_has(known, hex))
        return error_set(err, ERROR_PERMANENT, EBADMSG, "%s differs from what was uploaded", name);
    return 0;
}

static int check_listed(int directory, const struct upload_rendition *rendition,
                        const struct playlist *list, struct error *err)
{
    if (list->init &&
        check_file(directory, list->init, upload_file_find(rendition, list->init), err) != 0)
        return -1;
    for (size_t i = 0; i < list->count; i++)
        if (check_file(directory, list->segments[i].name,
                       upload_file_find(rendition, list->segments[i].name), err) != 0)
            return -1;
    return 0;
}

static int check_rendition(int output, const struct upload_rendition *rendition, struct error *err)
{
    struct playlist list;
    TEXT(text) = NULL;
    size_t size;
    const char *name = tailslate_quality_name(rendition->quality);
    FD(directory) = openat(output, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_errno(err, "output/%s", name);
    if (durable_read(directory, LADDER_PLAYLIST, PLAYLIST_MAX_BYTES, &text, &size, err) != 0 ||
        playlist_parse(text, size, &list, err) != 0)
        return error_wrap(err, "output/%s", name);
    int result = check_listed(directory, rendition, &list, err);
    playlist_fini(&list);
    return result == 0 ? 0 : error_wrap(err, "output/%s", name);
}

/* A file that differs from what was uploaded is not sent again: the server has the original. */
static void inspect_rendition(struct subject *subject, int output, enum tailslate_quality quality)
{
    struct upload_rendition rendition = {.quality = quality, .watch = -1};
    struct error err, ignored;
    struct fsck *fsck = subject->fsck;
    if (upload_record_read(subject->dir, &rendition, &err) != 0) {
        report(subject, "delete its upload record, so that the files are uploaded again", "%s",
               err.message);
        if (fsck->repairs && upload_record_forget(subject->dir, &rendition, &ignored) == 0)
            fsck->repaired++;
    } else if (check_rendition(output, &rendition, &err) != 0) {
        report(subject, "leave it as it is, the server may have all of it", "%s", err.message);
    }
    upload_record_fini(&rendition);
}

static void check_work(struct subject *subject)
{
    struct record_outcome outcome;
    struct error err;
    if (record_read_outcome(subject->dir, &outcome, &err) != 0)
        return; /* it contains no finished work */
    FD(output) = openat(subject->dir, RECORD_OUTPUT,
                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    tailslate_quality_set made = tailslate_completion_qualities(&outcome.completion);
    if (output < 0) {
        report(subject, "leave it as it is, the server may have all of it",
               "its output is missing");
        return;
    }
    for (enum tailslate_quality quality = 0; quality < TAILSLATE_QUALITY_COUNT; quality++)
        if (made & 1u << quality)
            inspect_rendition(subject, output, quality);
}

/* ---- the directories ------------------------------------------------------------------------- */

static void check_record(struct fsck *fsck, const char *directory, int directory_fd, const char *id)
{
    struct error err;
    FD(dir) = spool_open_record(directory_fd, id, &err);
    if (dir < 0)
        return; /* it has gone meanwhile: delivered or moved */
    struct subject subject = {
        .fsck = fsck, .directory = directory, .id = id, .directory_fd = directory_fd, .dir = dir};
    fsck->records++;
    subject.is_at_work = record_is_locked(dir);
    check_format(&subject);
    if (!subject.is_corrupt && !subject.is_at_work && subject.state != JOB_ACKNOWLEDGED)
        check_work(&subject);
}

static int check_directory(struct fsck *fsck, const char *directory, int directory_fd,
                           struct error *err)
{
    struct spool_entry *entries = NULL;
    size_t count = 0, foreign = 0;
    if (spool_list(directory_fd, &entries, &count, &foreign, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        check_record(fsck, directory, directory_fd, entries[i].id);
    free(entries);
    if (foreign > 0) {
        printf("%-10s %zu foreign name%s; left alone\n", directory, foreign,
               foreign == 1 ? "" : "s");
        fsck->findings++;
    }
    return 0;
}

static int check_all(struct fsck *fsck, struct error *err)
{
    if (check_directory(fsck, "spool", fsck->spool.live, err) != 0 ||
        check_directory(fsck, "kept", fsck->spool.retained, err) != 0 ||
        check_directory(fsck, "quarantine", fsck->spool.quarantine, err) != 0)
        return -1;
    printf("%u record%s, %u finding%s", fsck->records, fsck->records == 1 ? "" : "s",
           fsck->findings, fsck->findings == 1 ? "" : "s");
    if (fsck->repairs)
        printf(", %u repaired", fsck->repaired);
    putchar('\n');
    return 0;
}

/* As the owner if no agent is running: that removes temporary files and keeps an agent from
 * starting. */
static int open_spool(struct fsck *fsck, const struct config *config, struct error *err)
{
    pid_t agent;
    if (spool_open(config->node.state_dir, SPOOL_READ, &fsck->spool, err) != 0)
        return -1;
    fsck->is_running = spool_is_owned(&fsck->spool, &agent);
    if (!fsck->repairs || fsck->is_running)
        return 0;
    spool_close(&fsck->spool);
    return spool_open(config->node.state_dir, SPOOL_OWN, &fsck->spool, err);
}

int fsck_run(const struct config *config, bool repairs)
{
    struct fsck fsck = {.spool = SPOOL_INIT, .repairs = repairs};
    struct error err;
    int status = EX_OK;
    if (open_spool(&fsck, config, &err) != 0 || check_all(&fsck, &err) != 0) {
        fprintf(stderr, "tailslate-agent: %s\n", err.message);
        status = err.code == ENOENT ? EX_UNAVAILABLE : error_exit_status(&err);
    } else if (fsck.findings > fsck.repaired) {
        status = EX_DATAERR;
    }
    spool_close(&fsck.spool);
    return status;
}
