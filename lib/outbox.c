#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/message_fields.h"
#include "lib/outbox_private.h"
#include "lib/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>

void outbox_record_free(const struct outbox_record *record)
{
    free(record->body);
}

_Static_assert(TAILSLATE_REASON_BYTES == (int)ERROR_MESSAGE_BYTES,
               "a reason is an error's message");

/* ---- records */

void outbox_name(int64_t job_id, char name[OUTBOX_NAME_BYTES])
{
    snprintf(name, OUTBOX_NAME_BYTES, "%" PRId64 ".json", job_id);
}

static bool fill_record(const struct json *root, int64_t job_id, struct outbox_record *record)
{
    const char *token = NULL, *body = NULL;
    int64_t token_job;
    record->job_id = job_id;
    record->claim_epoch = TAILSLATE_ABSENT_INT;
    if (json_get_text(root, "token", TAILSLATE_TOKEN_BYTES - 1, &token) != JSON_FOUND ||
        !tailslate_token_parse(token, strlen(token), &token_job, record->token) ||
        token_job != job_id ||
        json_get_int(root, "claim_epoch", 0, ID_MAX, &record->claim_epoch) == JSON_WRONG ||
        json_get_text(root, "completion", JSON_MAX_BYTES, &body) == JSON_WRONG)
        return false;
    record->body = body ? must_strdup(body) : NULL;
    return true;
}

int outbox_read(struct tailslate_outbox *outbox, int64_t job_id, struct outbox_record *record)
{
    char name[OUTBOX_NAME_BYTES];
    TEXT(text) = NULL;
    size_t size;
    outbox_name(job_id, name);
    if (durable_read(outbox->dir, name, JSON_MAX_BYTES, &text, &size, &outbox->err) < 0)
        return outbox->err.code == ENOENT ? 0 : -1;
    JSON(root) = json_parse(text, size, &outbox->err);
    if (!root)
        return error_wrap(&outbox->err, "%s", name);
    if (!fill_record(root, job_id, record))
        return error_set(&outbox->err, ERROR_PERMANENT, 0, "%s: not a record of an outbox", name);
    return 1;
}

static int write_record(struct tailslate_outbox *outbox, const struct outbox_record *record)
{
    char name[OUTBOX_NAME_BYTES];
    JSON(root) = json_new_object();
    json_set_text(root, "token", record->token);
    put_int(root, "claim_epoch", record->claim_epoch);
    if (record->body)
        json_set_text(root, "completion", record->body);
    TEXT(text) = json_print(root);
    outbox_name(record->job_id, name);
    return durable_write(outbox->dir, name, text, strlen(text), &outbox->err);
}

/* ---- entries */

static struct outbox_entry *find(struct tailslate_outbox *outbox, int64_t job_id)
{
    for (size_t i = 0; i < outbox->count; i++)
        if (outbox->entries[i].job_id == job_id)
            return &outbox->entries[i];
    return NULL;
}

static struct outbox_entry *find_or_add(struct tailslate_outbox *outbox, int64_t job_id)
{
    struct outbox_entry *entry = find(outbox, job_id);
    if (!entry && outbox->count < TAILSLATE_OUTBOX_JOBS_MAX) {
        entry = &outbox->entries[outbox->count++];
        *entry = (struct outbox_entry){.job_id = job_id, .due_ms = INT64_MIN};
    }
    if (!entry)
        error_set(&outbox->err, ERROR_TEMPORARY, ENOSPC, "the outbox is full: %d jobs",
                  TAILSLATE_OUTBOX_JOBS_MAX);
    return entry;
}

/* The last one takes its place. */
void outbox_drop(struct tailslate_outbox *outbox, struct outbox_entry *entry)
{
    *entry = outbox->entries[--outbox->count];
}

/* ---- opening */

/* 0: not the name of a record. */
static int64_t job_id_of(const char *name)
{
    char canonical[OUTBOX_NAME_BYTES];
    int64_t job_id = 0;
    for (const char *at = name; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(job_id, 10, &job_id) ||
            __builtin_add_overflow(job_id, *at - '0', &job_id))
            return 0;
    outbox_name(job_id, canonical);
    return job_id <= ID_MAX && strcmp(name, canonical) == 0 ? job_id : 0;
}

static int take_in(struct tailslate_outbox *outbox, const char *name)
{
    int64_t job_id = job_id_of(name);
    RECORD(record);
    if (strncmp(name, DURABLE_TEMP_PREFIX, strlen(DURABLE_TEMP_PREFIX)) == 0)
        unlinkat(outbox->dir, name, 0); /* of a process that died during a write */
    if (job_id == 0)
        return 0;
    struct outbox_entry *entry = find_or_add(outbox, job_id);
    if (!entry)
        return -1;
    /* One that cannot be read is reported by each delivery. */
    entry->sealed = outbox_read(outbox, job_id, &record) < 0 || record.body;
    return 0;
}

static int read_directory(struct tailslate_outbox *outbox)
{
    FD(fd) = openat(outbox->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIRECTORY(list) = fd < 0 ? NULL : fdopendir(fd);
    if (!list)
        return error_errno(&outbox->err, "cannot list the directory");
    steal_fd(&fd);
    struct dirent *entry;
    while (errno = 0, (entry = readdir(list)))
        if (take_in(outbox, entry->d_name) < 0)
            return -1;
    if (errno != 0)
        return error_errno(&outbox->err, "cannot list the directory");
    /* A rename that is visible may have been the last step of an earlier process. */
    return durable_sync_dir(outbox->dir, &outbox->err);
}

static int open_below(int parent, const char *name, struct error *err)
{
    if (durable_mkdir(parent, name, 0700, err) < 0)
        return -1;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_errno(err, "cannot open %s", name) : fd;
}

static int open_directories(struct tailslate_outbox *outbox, const char *directory)
{
    TEXT(above) = must_strdup(directory);
    TEXT(below) = must_strdup(directory);
    FD(parent) = open(dirname(above), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return error_errno(&outbox->err, "cannot open the directory above");
    outbox->dir = open_below(parent, basename(below), &outbox->err);
    if (outbox->dir < 0)
        return -1;
    if (flock(outbox->dir, LOCK_EX | LOCK_NB) < 0)
        return error_errno(&outbox->err, "another process has this outbox open");
    outbox->refused = open_below(outbox->dir, "refused", &outbox->err);
    return outbox->refused < 0 ? -1 : read_directory(outbox);
}

struct tailslate_outbox *tailslate_outbox_open(const char *directory,
                                               char reason[TAILSLATE_REASON_BYTES])
{
    struct tailslate_outbox *outbox = must_calloc(1, sizeof *outbox);
    outbox->dir = outbox->refused = -1;
    if (open_directories(outbox, directory) == 0)
        return outbox;
    error_wrap(&outbox->err, "%s", directory);
    memcpy(reason, outbox->err.message, TAILSLATE_REASON_BYTES);
    tailslate_outbox_close(outbox);
    return NULL;
}

void tailslate_outbox_close(struct tailslate_outbox *outbox)
{
    if (!outbox)
        return;
    cleanup_fd(&outbox->dir);
    cleanup_fd(&outbox->refused);
    free(outbox);
}

const char *tailslate_outbox_error(const struct tailslate_outbox *outbox)
{
    return outbox->err.message;
}

/* ---- claim, seal, abandon */

/* Make the record say that its job is ours under this epoch, with a token. */
static int renew(struct tailslate_outbox *outbox, struct outbox_record *record, bool is_new,
                 int64_t job_id, int64_t claim_epoch)
{
    char uuid[TAILSLATE_UUID_BYTES];
    if (!is_new && record->claim_epoch == claim_epoch)
        /* An earlier call may have written it and failed after the rename. */
        return durable_sync_dir(outbox->dir, &outbox->err);
    record->job_id = job_id;
    record->claim_epoch = claim_epoch;
    if (!record->body) {
        uuid_make_v4(uuid);
        tailslate_token_make(job_id, uuid, record->token);
    }
    return write_record(outbox, record);
}

enum tailslate_outbox_claim tailslate_outbox_claim(struct tailslate_outbox *outbox, int64_t job_id,
                                                   int64_t claim_epoch,
                                                   char token[TAILSLATE_TOKEN_BYTES])
{
    RECORD(record);
    if (job_id < 1 || job_id > ID_MAX || claim_epoch < TAILSLATE_ABSENT_INT || claim_epoch > ID_MAX)
        return error_set(&outbox->err, ERROR_PERMANENT, EINVAL,
                         "not a job ID and an epoch: %" PRId64 ", %" PRId64, job_id, claim_epoch);
    int found = outbox_read(outbox, job_id, &record);
    struct outbox_entry *entry = found < 0 ? NULL : find_or_add(outbox, job_id);
    if (!entry || renew(outbox, &record, found == 0, job_id, claim_epoch) < 0)
        return TAILSLATE_OUTBOX_FAILED;
    memcpy(token, record.token, TAILSLATE_TOKEN_BYTES);
    entry->sealed = record.body;
    entry->due_ms = INT64_MIN;
    return record.body ? TAILSLATE_OUTBOX_SEALED : TAILSLATE_OUTBOX_OPEN;
}

static char *body_of(const struct tailslate_completion *completion, const char *token)
{
    struct tailslate_completion with_token = *completion;
    memcpy(with_token.token, token, strlen(token) + 1);
    return tailslate_completion_format(&with_token);
}

int tailslate_outbox_seal(struct tailslate_outbox *outbox, int64_t job_id,
                          const struct tailslate_completion *completion)
{
    RECORD(record);
    int found = outbox_read(outbox, job_id, &record);
    if (found == 0)
        return error_set(&outbox->err, ERROR_PERMANENT, ENOENT,
                         "job %" PRId64 " is not claimed in this outbox", job_id);
    struct outbox_entry *entry = found < 0 ? NULL : find_or_add(outbox, job_id);
    if (!entry)
        return -1;
    bool was_sealed = record.body;
    if (!was_sealed)
        record.body = body_of(completion, record.token);
    if ((was_sealed ? durable_sync_dir(outbox->dir, &outbox->err) : write_record(outbox, &record)) <
        0)
        return -1;
    entry->sealed = true;
    return 0;
}

size_t tailslate_outbox_unsealed(const struct tailslate_outbox *outbox,
                                 int64_t job_ids[TAILSLATE_OUTBOX_JOBS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < outbox->count; i++)
        if (!outbox->entries[i].sealed)
            job_ids[count++] = outbox->entries[i].job_id;
    return count;
}

int tailslate_outbox_abandon(struct tailslate_outbox *outbox, int64_t job_id)
{
    RECORD(record);
    char name[OUTBOX_NAME_BYTES];
    int found = outbox_read(outbox, job_id, &record);
    if (found < 0)
        return -1;
    if (record.body)
        return error_set(&outbox->err, ERROR_PERMANENT, EBUSY, "job %" PRId64 " is sealed", job_id);
    outbox_name(job_id, name);
    if (durable_unlink(outbox->dir, name, &outbox->err) < 0)
        return -1;
    struct outbox_entry *entry = find(outbox, job_id);
    if (entry)
        outbox_drop(outbox, entry);
    return 0;
}
