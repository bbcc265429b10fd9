#include "agent/spool/spool.h"

#include "agent/base/tree.h"
#include "agent/spool/control_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LOCK_NAME   "agent.lock"
#define REASON_NAME "reason.json"

enum {
    LOCK_TEXT_BYTES = 32,
    ID_DIGITS_MAX = 19, /* of an int64_t */
    NUMBER_MAX = 1000000000,
    LEFTOVERS_MAX = 100, /* of one record's number */
};

static int open_directory(int dir, const char *name)
{
    return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool parse_digits(const char **at, int64_t max, int64_t *value)
{
    const char *start = *at;
    if (*start < '1' || *start > '9')
        return false;
    *value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (*at - start >= ID_DIGITS_MAX || *value > (max - (**at - '0')) / 10)
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return true;
}

static bool parse_id(const char *text, int64_t *job_id, int64_t *number)
{
    return parse_digits(&text, INT64_MAX, job_id) && *text++ == '.' &&
           parse_digits(&text, NUMBER_MAX, number) && *text == '\0';
}

bool spool_is_id(const char *text, int64_t *job_id)
{
    int64_t number;
    return parse_id(text, job_id, &number);
}

static int open_subdirectory(const struct spool *spool, const char *name, enum spool_mode mode,
                             int *directory, struct error *err)
{
    if (mode == SPOOL_OWN && durable_mkdir(spool->state_dir, name, 0700, err) != 0)
        return -1;
    *directory = open_directory(spool->state_dir, name);
    return *directory >= 0 ? 0 : error_errno(err, "cannot open %s", name);
}

static void read_holder(int fd, char holder[LOCK_TEXT_BYTES])
{
    ssize_t size = pread(fd, holder, LOCK_TEXT_BYTES - 1, 0);
    holder[size > 0 ? size : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
}

static int take_lock(struct spool *spool, struct error *err)
{
    FD(fd) = openat(spool->state_dir, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, "cannot open " LOCK_NAME);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        if (errno != EACCES && errno != EAGAIN)
            return error_errno(err, "cannot lock " LOCK_NAME);
        char holder[LOCK_TEXT_BYTES];
        read_holder(fd, holder);
        return error_set(err, ERROR_TEMPORARY, EWOULDBLOCK,
                         "another agent (PID %s) is using this spool", holder);
    }
    /* The PID is for people; on a full disk the lock works without it. */
    char text[LOCK_TEXT_BYTES];
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    ssize_t wrote = ftruncate(fd, 0) == 0 ? pwrite(fd, text, (size_t)length, 0) : 0;
    (void)wrote;
    spool->lock = steal_fd(&fd);
    return 0;
}

/* A full disk is temporary: finished work must be deliverable from it. */
static int prove_writable(int dir, struct error *err)
{
    char name[DURABLE_TEMP_BYTES];
    struct error why;
    FD(fd) = durable_temp(dir, name, &why);
    if (fd >= 0) {
        unlinkat(dir, name, 0);
        return 0;
    }
    if (why.class == ERROR_TEMPORARY)
        return 0;
    *err = why;
    return -1;
}

typedef int name_visitor(void *ctx, const char *name, struct error *err);

static int visit_names(int dir, name_visitor *visit, void *ctx, struct error *err)
{
    DIRECTORY(list) = tree_list(dir);
    if (!list)
        return error_errno(err, "cannot list");
    struct dirent *entry;
    while ((entry = tree_next(list)))
        if (visit(ctx, entry->d_name, err) != 0)
            return -1;
    return errno == 0 ? 0 : error_errno(err, "cannot list");
}

/* A file that cannot be removed (another user's, a tree that is too deep) costs disk space, but
 * does not stop the agent. */
static int sweep_name(void *ctx, const char *name, struct error *err)
{
    const int *dir = ctx;
    struct error why;
    (void)err;
    if (strncmp(name, DURABLE_TEMP_PREFIX, strlen(DURABLE_TEMP_PREFIX)) == 0 &&
        durable_remove_tree(*dir, name, &why) != 0)
        log_warning("spool.not_cleaned", LOG_TEXT("name", name), LOG_TEXT("reason", why.message));
    return 0;
}

static int own(struct spool *spool, struct error *err)
{
    if (take_lock(spool, err) != 0 || prove_writable(spool->live, err) != 0)
        return -1;
    int directories[] = {spool->state_dir, spool->live, spool->retained, spool->quarantine};
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        if (visit_names(directories[i], sweep_name, &directories[i], err) != 0)
            return -1;
    return 0;
}

static int open_all(const char *path, enum spool_mode mode, struct spool *spool, struct error *err)
{
    if (mode == SPOOL_OWN && mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_errno(err, "cannot create it");
    spool->state_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->state_dir < 0)
        return error_errno(err, "cannot open it");
    if (open_subdirectory(spool, "spool", mode, &spool->live, err) != 0 ||
        open_subdirectory(spool, "kept", mode, &spool->retained, err) != 0 ||
        open_subdirectory(spool, "quarantine", mode, &spool->quarantine, err) != 0)
        return -1;
    struct error ignored; /* a state_dir of an older agent has no directory for control files */
    if (open_subdirectory(spool, CONTROL_DIRECTORY, mode, &spool->controls,
                          mode == SPOOL_OWN ? err : &ignored) != 0 &&
        mode == SPOOL_OWN)
        return -1;
    return mode == SPOOL_OWN ? own(spool, err) : 0;
}

int spool_open(const char *path, enum spool_mode mode, struct spool *spool, struct error *err)
{
    *spool = (struct spool)SPOOL_INIT;
    if (open_all(path, mode, spool, err) == 0)
        return 0;
    spool_close(spool);
    if (mode == SPOOL_READ && err->code == ENOENT)
        return error_set(err, ERROR_TEMPORARY, ENOENT,
                         "node.state_dir %s: no agent has worked there yet; start tailslate-agent, "
                         "or correct the path",
                         path);
    return error_wrap(err, "node.state_dir %s", path);
}

void spool_close(struct spool *spool)
{
    int *fds[] = {&spool->live,     &spool->retained, &spool->quarantine,
                  &spool->controls, &spool->lock,     &spool->state_dir};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        cleanup_fd(fds[i]);
        *fds[i] = -1;
    }
}

int spool_need_controls(struct spool *spool, struct error *err)
{
    if (spool->controls >= 0)
        return 0;
    return open_subdirectory(spool, CONTROL_DIRECTORY, SPOOL_OWN, &spool->controls, err);
}

bool spool_is_owned(const struct spool *spool, pid_t *pid)
{
    *pid = 0;
    FD(fd) = openat(spool->state_dir, LOCK_NAME, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &whole) != 0 || whole.l_type == F_UNLCK)
        return false;
    char holder[LOCK_TEXT_BYTES];
    read_holder(fd, holder);
    int64_t value;
    const char *at = holder;
    if (parse_digits(&at, INT32_MAX, &value))
        *pid = (pid_t)value;
    return true;
}

struct number_search {
    int64_t job_id, highest;
};

static int note_number(void *ctx, const char *name, struct error *err)
{
    struct number_search *search = ctx;
    int64_t job_id, number;
    (void)err;
    if (parse_id(name, &job_id, &number) && job_id == search->job_id && number > search->highest)
        search->highest = number;
    return 0;
}

/* Over all directories, so that no record can collide with one that was moved away. */
static int next_id(const struct spool *spool, int64_t job_id, char id[SPOOL_ID_BYTES],
                   struct error *err)
{
    struct number_search search = {.job_id = job_id};
    int directories[] = {spool->live, spool->retained, spool->quarantine};
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        if (visit_names(directories[i], note_number, &search, err) != 0)
            return -1;
    if (search.highest >= NUMBER_MAX)
        return error_set(err, ERROR_PERMANENT, ERANGE, "no record number left for job %" PRId64,
                         job_id);
    snprintf(id, SPOOL_ID_BYTES, "%" PRId64 ".%" PRId64, job_id, search.highest + 1);
    return 0;
}

static int fill_and_publish(const struct spool *spool, const char *temp, const char *id,
                            const struct record_claim *claim, struct error *err)
{
    if (durable_mkdir(spool->live, temp, 0700, err) != 0)
        return -1;
    FD(dir) = open_directory(spool->live, temp);
    if (dir < 0)
        return error_errno(err, "cannot open the new record");
    if (record_write_claim(dir, claim, err) != 0)
        return -1;
    return durable_rename(spool->live, temp, spool->live, id, err);
}

int spool_add(const struct spool *spool, const struct record_claim *claim, char id[SPOOL_ID_BYTES],
              struct error *err)
{
    char temp[SPOOL_ID_BYTES + sizeof DURABLE_TEMP_PREFIX];
    if (next_id(spool, claim->claim.job_id, id, err) != 0)
        return -1;
    snprintf(temp, sizeof temp, DURABLE_TEMP_PREFIX "%s", id);
    if (fill_and_publish(spool, temp, id, claim, err) == 0)
        return 0;
    struct error ignored;
    durable_remove_tree(spool->live, temp, &ignored); /* otherwise the next start removes it */
    return error_wrap(err, "new record %s", id);
}

struct listing {
    int directory;
    struct spool_entry *entries;
    size_t count, capacity, foreign;
};

static bool is_directory(int dir, const char *name)
{
    struct stat status;
    return fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

static int note_entry(void *ctx, const char *name, struct error *err)
{
    struct listing *listing = ctx;
    int64_t job_id;
    (void)err;
    if (strncmp(name, DURABLE_TEMP_PREFIX, strlen(DURABLE_TEMP_PREFIX)) == 0)
        return 0;
    if (!spool_is_id(name, &job_id) || !is_directory(listing->directory, name)) {
        listing->foreign++;
        return 0;
    }
    if (listing->count == SPOOL_RECORDS_MAX)
        return 0;
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity ? 2 * listing->capacity : 16;
        listing->entries = must_realloc(listing->entries,
                                        listing->capacity * sizeof *listing->entries);
    }
    struct spool_entry *entry = &listing->entries[listing->count++];
    entry->job_id = job_id;
    snprintf(entry->id, sizeof entry->id, "%.*s", SPOOL_ID_BYTES - 1, name);
    return 0;
}

static int compare_entries(const void *left, const void *right)
{
    const struct spool_entry *a = left, *b = right;
    int64_t job, number_a = 0, number_b = 0;
    must(parse_id(a->id, &job, &number_a) && parse_id(b->id, &job, &number_b));
    if (a->job_id != b->job_id)
        return a->job_id < b->job_id ? -1 : 1;
    return (number_a > number_b) - (number_a < number_b);
}

int spool_list(int directory, struct spool_entry **entries, size_t *count, size_t *foreign,
               struct error *err)
{
    struct listing listing = {.directory = directory};
    if (visit_names(directory, note_entry, &listing, err) != 0) {
        free(listing.entries);
        return -1;
    }
    if (listing.count > 1)
        qsort(listing.entries, listing.count, sizeof *listing.entries, compare_entries);
    *entries = listing.entries;
    *count = listing.count;
    if (foreign)
        *foreign = listing.foreign;
    return 0;
}

int spool_open_record(int directory, const char *id, struct error *err)
{
    int64_t job_id;
    if (!spool_is_id(id, &job_id))
        return error_set(err, ERROR_PERMANENT, EINVAL, "'%s' is not a record ID (<job>.<number>)",
                         id);
    int dir = open_directory(directory, id);
    return dir >= 0 ? dir : error_errno(err, "cannot open record %s", id);
}

static void write_reason(int directory, const char *id, enum tailslate_problem problem,
                         const char *reason)
{
    struct error
        ignored; /* on a full disk the record moves without its reason, which is in the log */
    FD(dir) = spool_open_record(directory, id, &ignored);
    if (dir < 0)
        return;
    char now[WALL_TEXT_BYTES];
    wall_format(wall_us(), now);
    JSON(root) = json_new_object();
    json_set_text(root, "reason", reason);
    json_set_filled(root, "code", tailslate_problem_code(problem));
    json_set_text(root, "at", now);
    TEXT(text) = json_print(root);
    durable_write(dir, REASON_NAME, text, strlen(text), &ignored);
}

void spool_note_reason(const struct spool *spool, const char *id, const char *reason)
{
    write_reason(spool->live, id, TAILSLATE_PROBLEM_NONE, reason);
}

/* The file of that record; NULL: none, or not JSON. Owned. */
static struct json *read_reason(int directory, const char *id)
{
    struct error ignored;
    TEXT(text) = NULL;
    size_t size;
    FD(dir) = spool_open_record(directory, id, &ignored);
    if (dir < 0 ||
        durable_read(dir, REASON_NAME, RECORD_FILE_MAX_BYTES, &text, &size, &ignored) != 0)
        return NULL;
    return json_parse(text, size, &ignored);
}

void spool_read_reason(int directory, const char *id, char reason[SPOOL_REASON_BYTES])
{
    JSON(root) = read_reason(directory, id);
    const char *found;
    reason[0] = '\0';
    if (json_get_text(root, "reason", SPOOL_REASON_BYTES - 1, &found) == JSON_FOUND)
        memcpy(reason, found, strlen(found) + 1);
}

enum tailslate_problem spool_read_problem(int directory, const char *id)
{
    JSON(root) = read_reason(directory, id);
    const char *code;
    return json_get_text(root, "code", SPOOL_REASON_BYTES - 1, &code) == JSON_FOUND
               ? tailslate_problem_from_code(code)
               : TAILSLATE_PROBLEM_NONE;
}

static int set_aside(const struct spool *spool, int directory, const char *id,
                     enum tailslate_problem problem, const char *reason, struct error *err)
{
    write_reason(spool->live, id, problem, reason);
    return durable_rename(spool->live, id, directory, id, err);
}

int spool_retain(const struct spool *spool, const char *id, enum tailslate_problem problem,
                 const char *reason, struct error *err)
{
    return set_aside(spool, spool->retained, id, problem, reason, err);
}

int spool_quarantine(const struct spool *spool, const char *id, const char *reason,
                     struct error *err)
{
    return set_aside(spool, spool->quarantine, id, TAILSLATE_PROBLEM_NONE, reason, err);
}

int spool_take_back(const struct spool *spool, const char *id, const struct record_claim *claim,
                    struct error *err)
{
    FD(dir) = spool_open_record(spool->retained, id, err);
    if (dir < 0 || record_take_back(dir, claim, err) != 0 ||
        durable_unlink(dir, REASON_NAME, err) != 0)
        return -1;
    return durable_rename(spool->retained, id, spool->live, id, err);
}

int spool_remove_outputs(const struct spool *spool, const char *id, struct error *err)
{
    FD(dir) = spool_open_record(spool->live, id, err);
    /* No fsync, which blocks the agent: that the record has ended (acknowledged, or lost) is on
     * disk, so what a power cut brings back is removed again. */
    return dir < 0 ? -1 : durable_remove_tree_volatile(dir, RECORD_OUTPUT, err);
}

/* Deleting file by file could, if interrupted, leave a record in another state: a claim without its
 * acknowledgment would be transcoded again. */
static int take_away(int directory, const char *id, char removed[SPOOL_NAME_BYTES],
                     struct error *err)
{
    /* What could not be deleted may still have the name, from an earlier record with this number.
     */
    snprintf(removed, SPOOL_NAME_BYTES, SPOOL_REMOVED "%s", id);
    for (int i = 1; i <= LEFTOVERS_MAX && durable_exists(directory, removed); i++)
        snprintf(removed, SPOOL_NAME_BYTES, SPOOL_REMOVED "%s-%d", id, i);
    return durable_rename(directory, id, directory, removed, err);
}

int spool_remove(const struct spool *spool, const char *id, struct error *err)
{
    char removed[SPOOL_NAME_BYTES];
    struct error why;
    int taken = take_away(spool->live, id, removed, &why);
    if (taken != 0 && durable_exists(spool->live, id)) {
        *err = why;
        return -1;
    }
    /* The record is gone from here on; the next start removes the rest. If the rename may not be on
     * disk, the files are not deleted: after a power cut the name could be back. */
    if (taken != 0 || durable_remove_tree_volatile(spool->live, removed, &why) != 0)
        log_warning("spool.not_cleaned", LOG_TEXT("name", removed),
                    LOG_TEXT("reason", why.message));
    return 0;
}

int spool_take_away_retained(const struct spool *spool, const char *id, struct error *err)
{
    char removed[SPOOL_NAME_BYTES];
    return take_away(spool->retained, id, removed, err);
}
