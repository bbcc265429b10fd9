#include "verifier/files/files_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define HOW_TO_ADOPT " If it was replaced on purpose: tailslate-verifier check --adopt-directories"

#define NOT_COMPARED                                                                               \
    "%s %s has not been compared with the database yet: the database cannot be used, or cannot "   \
    "record its marker"

struct root {
    char *path;
    char expected[TAILSLATE_UUID_BYTES]; /* "": not known */
    bool is_away;
    char reason[FILES_REASON_BYTES]; /* "": nothing is wrong */
};

struct files_watch {
    pthread_mutex_t lock;  /* of everything below */
    pthread_mutex_t check; /* one check at a time */
    bool is_required;
    int64_t began_ms; /* of the check that runs; 0: none */
    struct root roots[FILES_ROOT_COUNT];
};

static const struct {
    const char *name, *key;
    int mode; /* what serving needs */
} names[FILES_ROOT_COUNT] = {
    [FILES_UPLOADS] = {"uploads", "uploads_dir", R_OK | X_OK},
    [FILES_VIDEOS] = {"videos", "videos_dir", R_OK | W_OK | X_OK},
};

const char *files_root_name(enum files_root root)
{
    return names[root].name;
}

struct files_watch *files_watch_new(const char *uploads_dir, const char *videos_dir)
{
    struct files_watch *watch = must_calloc(1, sizeof *watch);
    must(pthread_mutex_init(&watch->lock, NULL) == 0);
    must(pthread_mutex_init(&watch->check, NULL) == 0);
    watch->roots[FILES_UPLOADS].path = must_strdup(uploads_dir);
    watch->roots[FILES_VIDEOS].path = must_strdup(videos_dir);
    return watch;
}

void files_watch_free(struct files_watch *watch)
{
    pthread_mutex_destroy(&watch->lock);
    pthread_mutex_destroy(&watch->check);
    for (enum files_root root = 0; root < FILES_ROOT_COUNT; root++)
        free(watch->roots[root].path);
    free(watch);
}

static int descriptor(const struct files *files, enum files_root root)
{
    return root == FILES_UPLOADS ? files->uploads : files->videos;
}

static int open_now(const struct root *now, enum files_root root, struct error *err)
{
    int fd = open(now->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    error_errno(err, "%s %s cannot be opened", names[root].key, now->path);
    err->class = ERROR_TEMPORARY;
    return -1;
}

static int read_marker(int dir, char marker[TAILSLATE_UUID_BYTES], struct error *err)
{
    enum { MARKER_MAX_BYTES = 256 };
    TEXT(text) = NULL;
    size_t size;
    marker[0] = '\0';
    if (durable_read(dir, FILES_MARKER, MARKER_MAX_BYTES, &text, &size, err) != 0)
        return err->code == ENOENT ? 0 : -1;
    snprintf(marker, TAILSLATE_UUID_BYTES, "%.*s", (int)strcspn(text, "\n"), text);
    return 0;
}

/* ---- one check ------------------------------------------------------------------------------- */

static void explain_other(const struct root *now, enum files_root root, const char *marker,
                          char reason[FILES_REASON_BYTES])
{
    snprintf(reason, FILES_REASON_BYTES,
             "%s %s is not the directory that this server used before (its marker file %s): is the "
             "%sshare mounted?" HOW_TO_ADOPT,
             names[root].key, now->path, marker[0] ? "is another one" : "is missing",
             marker[0] ? "right " : "");
}

/* False: it is away, and the reason says why. */
static bool is_the_one(const struct root *now, bool is_required, enum files_root root, int dir,
                       char reason[FILES_REASON_BYTES])
{
    char marker[TAILSLATE_UUID_BYTES];
    struct error err;
    if (!is_required)
        return true;
    if (read_marker(dir, marker, &err) != 0)
        snprintf(reason, FILES_REASON_BYTES, "%s %s: its marker file cannot be read: %.200s",
                 names[root].key, now->path, err.message);
    else if (!now->expected[0])
        snprintf(reason, FILES_REASON_BYTES, NOT_COMPARED, names[root].key, now->path);
    else if (strcmp(marker, now->expected) == 0)
        return true;
    else
        explain_other(now, root, marker, reason);
    return false;
}

/* What does not keep finished work from being judged, but new work from being done. */
static void inspect_use(const struct root *now, enum files_root root, int dir,
                        char reason[FILES_REASON_BYTES])
{
    struct statvfs space;
    if (faccessat(dir, ".", names[root].mode, AT_EACCESS) != 0) {
        struct error err;
        error_errno(&err, "%s %s cannot be %s", names[root].key, now->path,
                    names[root].mode & W_OK ? "written to" : "read");
        snprintf(reason, FILES_REASON_BYTES, "%s", err.message);
    } else if (names[root].mode & W_OK && fstatvfs(dir, &space) == 0 &&
               (uint64_t)space.f_bavail * space.f_frsize < FILES_FULL_BYTES) {
        snprintf(reason, FILES_REASON_BYTES, "%s %s has no space left: free some, or enlarge it",
                 names[root].key, now->path);
    }
}

/* The descriptor keeps its number: a call that runs beside this meets the old directory or the new
 * one, both of which have the marker. */
static bool reopen(const struct files *files, enum files_root root, int dir)
{
    struct stat open, behind;
    int fd = descriptor(files, root);
    if (fstat(fd, &open) == 0 && fstat(dir, &behind) == 0 && open.st_dev == behind.st_dev &&
        open.st_ino == behind.st_ino)
        return false;
    must(dup3(dir, fd, O_CLOEXEC) == fd);
    return true;
}

static void note(struct files_watch *watch, enum files_root root, bool is_away, bool is_reopened,
                 const char *reason)
{
    struct root *now = &watch->roots[root];
    pthread_mutex_lock(&watch->lock);
    now->is_away = is_away;
    memcpy(now->reason, reason, sizeof now->reason);
    pthread_mutex_unlock(&watch->lock);
    if (is_reopened)
        log_info("directory.reopened", LOG_TEXT("directory", names[root].name),
                 LOG_TEXT("path", now->path));
}

static void check_root(const struct files *files, enum files_root root)
{
    struct files_watch *watch = files->watch;
    char reason[FILES_REASON_BYTES] = "";
    struct root now;
    struct error err;
    pthread_mutex_lock(&watch->lock);
    now = watch->roots[root];
    bool is_required = watch->is_required, is_away, is_reopened = false;
    pthread_mutex_unlock(&watch->lock);
    FD(dir) = open_now(&now, root, &err);
    if (dir < 0)
        snprintf(reason, sizeof reason, "%.400s: is the share mounted?", err.message);
    is_away = dir < 0 || !is_the_one(&now, is_required, root, dir, reason);
    if (!is_away) {
        is_reopened = reopen(files, root, dir);
        inspect_use(&now, root, dir, reason);
    }
    note(watch, root, is_away, is_reopened, reason);
}

void files_watch_check(const struct files *files)
{
    struct files_watch *watch = files->watch;
    pthread_mutex_lock(&watch->check);
    pthread_mutex_lock(&watch->lock);
    watch->began_ms = mono_ms();
    pthread_mutex_unlock(&watch->lock);
    for (enum files_root root = 0; root < FILES_ROOT_COUNT; root++)
        check_root(files, root);
    pthread_mutex_lock(&watch->lock);
    watch->began_ms = 0;
    pthread_mutex_unlock(&watch->lock);
    pthread_mutex_unlock(&watch->check);
}

/* ---- what is expected ------------------------------------------------------------------------ */

void files_watch_require(const struct files *files)
{
    struct files_watch *watch = files->watch;
    pthread_mutex_lock(&watch->lock);
    for (enum files_root root = 0; root < FILES_ROOT_COUNT && !watch->is_required; root++) {
        watch->roots[root].is_away = true;
        snprintf(watch->roots[root].reason, FILES_REASON_BYTES, NOT_COMPARED, names[root].key,
                 watch->roots[root].path);
    }
    watch->is_required = true;
    pthread_mutex_unlock(&watch->lock);
}

void files_watch_expect(const struct files *files, enum files_root root, const char *marker)
{
    pthread_mutex_lock(&files->watch->lock);
    snprintf(files->watch->roots[root].expected, TAILSLATE_UUID_BYTES, "%s", marker);
    pthread_mutex_unlock(&files->watch->lock);
}

int files_watch_read(const struct files *files, enum files_root root,
                     char marker[TAILSLATE_UUID_BYTES], struct error *err)
{
    FD(dir) = open_now(&files->watch->roots[root], root, err);
    return dir < 0 ? -1 : read_marker(dir, marker, err);
}

int files_watch_write(const struct files *files, enum files_root root, const char *marker,
                      struct error *err)
{
    FD(dir) = open_now(&files->watch->roots[root], root, err);
    if (dir < 0)
        return -1;
    TEXT(line) = must_printf("%s\n", marker);
    if (durable_write(dir, FILES_MARKER, line, strlen(line), err) == 0)
        return 0;
    return error_wrap(err, "%s %s", names[root].key, files->watch->roots[root].path);
}

static int count_entry(void *ctx, int dir, const char *name, struct error *err)
{
    (void)dir, (void)err;
    *(bool *)ctx |= name[0] != '.';
    return 0;
}

bool files_watch_is_empty(const struct files *files, enum files_root root)
{
    struct error ignored;
    bool has_entries = false;
    FD(dir) = open_now(&files->watch->roots[root], root, &ignored);
    return dir >= 0 && files_for_each(dir, count_entry, &has_entries, &ignored) == 0 &&
           !has_entries;
}

/* ---- what the others ask --------------------------------------------------------------------- */

int files_use(const struct files *files, enum files_root root, struct error *err)
{
    struct files_watch *watch = files->watch;
    pthread_mutex_lock(&watch->lock);
    bool is_away = watch->roots[root].is_away;
    if (is_away)
        error_set(err, ERROR_TEMPORARY, FILES_AWAY, "%s", watch->roots[root].reason);
    pthread_mutex_unlock(&watch->lock);
    return is_away ? -1 : descriptor(files, root);
}

int files_recheck(const struct files *files, enum files_root root, struct error *err)
{
    files_watch_check(files);
    return files_use(files, root, err) < 0 ? -1 : 0;
}

bool files_root_problem(const struct files *files, enum files_root root,
                        char reason[FILES_REASON_BYTES])
{
    pthread_mutex_lock(&files->watch->lock);
    memcpy(reason, files->watch->roots[root].reason, FILES_REASON_BYTES);
    pthread_mutex_unlock(&files->watch->lock);
    return reason[0] != '\0';
}

bool files_problem(const struct files *files, char reason[FILES_REASON_BYTES])
{
    struct files_watch *watch = files->watch;
    reason[0] = '\0';
    pthread_mutex_lock(&watch->lock);
    int64_t waited_ms = watch->began_ms ? mono_ms() - watch->began_ms : 0;
    for (enum files_root root = 0; root < FILES_ROOT_COUNT && !reason[0]; root++)
        memcpy(reason, watch->roots[root].reason, FILES_REASON_BYTES);
    if (waited_ms > FILES_SILENT_MS)
        snprintf(reason, FILES_REASON_BYTES, "%s or %s has not answered for %lld s",
                 watch->roots[FILES_UPLOADS].path, watch->roots[FILES_VIDEOS].path,
                 (long long)waited_ms / 1000);
    pthread_mutex_unlock(&watch->lock);
    return reason[0] != '\0';
}
