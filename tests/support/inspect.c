#include "inspect.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SQL_BYTES = 1024, TICK_MS = 50, BUSY_MS = 10 * 1000 };

static sqlite3 *open_database(const struct rig *rig)
{
    TEXT(path) = rig_path(rig, "verifier.db");
    sqlite3 *db = NULL;
    cr_assert(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK, "%s: %s", path,
              sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, BUSY_MS);
    return db;
}

static void execute(sqlite3 *db, const char *sql)
{
    cr_assert(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
              sqlite3_errmsg(db));
}

static void __attribute__((format(printf, 4, 0)))
query(const struct rig *rig, char *text, size_t size, const char *sql, va_list args)
{
    char statement_text[SQL_BYTES];
    vsnprintf(statement_text, sizeof statement_text, sql, args);
    sqlite3_stmt *statement = NULL;
    /* Writable, because a reader of a WAL may have to make its index; query_only keeps it honest.
     */
    sqlite3 *db = open_database(rig);
    execute(db, "PRAGMA query_only=1");
    cr_assert(sqlite3_prepare_v2(db, statement_text, -1, &statement, NULL) == SQLITE_OK, "%s: %s",
              statement_text, sqlite3_errmsg(db));
    int result = sqlite3_step(statement);
    cr_assert(result == SQLITE_ROW || result == SQLITE_DONE, "%s: %s", statement_text,
              sqlite3_errmsg(db));
    const unsigned char *value = result == SQLITE_ROW ? sqlite3_column_text(statement, 0) : NULL;
    snprintf(text, size, "%s", value ? (const char *)value : "");
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

int64_t inspect_int(const struct rig *rig, const char *sql, ...)
{
    char text[64];
    va_list args;
    va_start(args, sql);
    query(rig, text, sizeof text, sql, args);
    va_end(args);
    return *text ? strtoll(text, NULL, 10) : -1;
}

void inspect_text(const struct rig *rig, char *text, size_t size, const char *sql, ...)
{
    va_list args;
    va_start(args, sql);
    query(rig, text, size, sql, args);
    va_end(args);
}

void inspect_change(const struct rig *rig, const char *sql, ...)
{
    char statement[SQL_BYTES];
    va_list args;
    va_start(args, sql);
    vsnprintf(statement, sizeof statement, sql, args);
    va_end(args);
    sqlite3 *db = open_database(rig);
    execute(db, statement);
    cr_assert(sqlite3_changes(db) > 0, "%s: changed nothing", statement);
    sqlite3_close(db);
}

struct sqlite3 *inspect_lock_database(const struct rig *rig)
{
    sqlite3 *db = open_database(rig);
    execute(db, "BEGIN IMMEDIATE");
    return db;
}

void inspect_unlock_database(struct sqlite3 *lock)
{
    execute(lock, "ROLLBACK");
    sqlite3_close(lock);
}

void inspect_wait_int(const struct rig *rig, int64_t value, int64_t timeout_ms, const char *sql,
                      ...)
{
    int64_t deadline = mono_ms() + timeout_ms, found;
    for (;;) {
        char text[64];
        va_list args;
        va_start(args, sql);
        query(rig, text, sizeof text, sql, args);
        va_end(args);
        found = *text ? strtoll(text, NULL, 10) : -1;
        if (found == value)
            return;
        cr_assert(mono_ms() < deadline, "%s: still %lld, not %lld, after %d ms", sql,
                  (long long)found, (long long)value, (int)timeout_ms);
        poll(NULL, 0, TICK_MS); /* a database has no event to wait for */
    }
}

void inspect_job_completed_once(const struct rig *rig, int64_t job)
{
    long long id = (long long)job;
    cr_assert(inspect_int(rig, "SELECT count(*) FROM completions WHERE job_id=%lld", id) == 1,
              "job %lld has not one completions row", id);
    cr_assert(
        inspect_int(rig,
                    "SELECT count(*) FROM transcoding_jobs j JOIN videos v ON v.id=j.video_id "
                    "WHERE j.id=%lld AND completed_at IS NOT NULL AND progress_percent=100 AND "
                    "current_step='finalize' AND claimed_at IS NULL AND claim_expires_at IS NULL "
                    "AND v.status='ready' AND v.published_at IS NOT NULL",
                    id) == 1,
        "job %lld or its video is not closed as a completion closes it", id);
    inspect_tree(rig, job);
}

static void check_file(const char *path)
{
    struct stat status;
    cr_assert(stat(path, &status) == 0, "%s is not there", path);
    cr_assert(S_ISREG(status.st_mode) && status.st_size > 0, "%s is empty", path);
}

/* Names in a playlist: lines that are no tags, and the URI of EXT-X-MAP. */
static void check_playlist(const char *directory, const char *name)
{
    TEXT(path) = must_printf("%s/%s", directory, name);
    check_file(path);
    TEXT(text) = file_read(path);
    int segments = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        char *uri = strncmp(line, "#EXT-X-MAP:", 11) == 0 ? strstr(line, "URI=\"") : NULL;
        if (uri)
            uri[5 + strcspn(uri + 5, "\"")] = '\0';
        else if (*line == '#')
            continue;
        TEXT(segment) = must_printf("%s/%s", directory, uri ? uri + 5 : line);
        check_file(segment);
        segments += !uri;
    }
    cr_assert(segments > 0, "%s lists no segment", path);
}

char *inspect_video(const struct rig *rig, int64_t job)
{
    char slug[256];
    inspect_text(rig, slug, sizeof slug,
                 "SELECT slug FROM videos v JOIN transcoding_jobs j ON j.video_id=v.id "
                 "WHERE j.id=%lld",
                 (long long)job);
    return rig_path(rig, "videos/%s", slug);
}

void inspect_tree(const struct rig *rig, int64_t job)
{
    char quality[32];
    TEXT(video) = inspect_video(rig, job);
    const char *const files[] = {"master.m3u8", "manifest.mpd", "thumbnail.jpg"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        TEXT(path) = must_printf("%s/%s", video, files[i]);
        check_file(path);
    }
    int count = 0;
    for (;; count++) {
        inspect_text(rig, quality, sizeof quality,
                     "SELECT quality FROM video_qualities q JOIN transcoding_jobs j ON "
                     "j.video_id=q.video_id WHERE j.id=%lld ORDER BY q.id LIMIT 1 OFFSET %d",
                     (long long)job, count);
        if (!*quality)
            break;
        TEXT(directory) = must_printf("%s/%s", video, quality);
        TEXT(init) = must_printf("%s/init.mp4", directory);
        check_file(init);
        check_playlist(directory, "stream.m3u8");
    }
    cr_assert(count > 0, "job %lld has no quality on record", (long long)job);
}

/* A tick as well: the directory itself may not have been there to watch. */
static void wait_change(int watch, int timeout_ms)
{
    struct pollfd changed = {.fd = watch, .events = POLLIN};
    poll(&changed, 1, timeout_ms);
    char events[4096];
    while (read(watch, events, sizeof events) > 0)
        ;
}

/* Records only: a name that starts with a dot is a leftover of a write or a creation. */
static int list_records(const struct rig *rig, const char *directory, char last[256])
{
    TEXT(path) = rig_path(rig, "agent/%s", directory);
    DIRECTORY(handle) = opendir(path);
    int count = 0;
    for (struct dirent *entry; handle && (entry = readdir(handle)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(last, 256, "%s", entry->d_name);
        count++;
    }
    return count;
}

int inspect_spool_count(const struct rig *rig, const char *directory)
{
    char last[256];
    return list_records(rig, directory, last);
}

void inspect_spool_empty(const struct rig *rig)
{
    const char *const directories[] = {"spool", "kept", "quarantine"};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        char last[256] = "";
        int count = list_records(rig, directories[i], last);
        cr_assert(count == 0, "%d left in %s, e.g. %s", count, directories[i], last);
    }
}

void inspect_wait_spool(const struct rig *rig, const char *directory, int count, int64_t timeout_ms)
{
    int64_t deadline = mono_ms() + timeout_ms;
    FD(watch) = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    TEXT(path) = rig_path(rig, "agent/%s", directory);
    inotify_add_watch(watch, path, IN_CREATE | IN_DELETE | IN_MOVE);
    for (;;) {
        int found = inspect_spool_count(rig, directory);
        if (found == count)
            return;
        cr_assert(mono_ms() < deadline, "%d records in %s, not %d, after %d ms", found, directory,
                  count, (int)timeout_ms);
        wait_change(watch, TICK_MS);
    }
}

char *inspect_record(const struct rig *rig, const char *directory)
{
    char last[256];
    int count = list_records(rig, directory, last);
    cr_assert(count <= 1, "%d records in %s", count, directory);
    return count == 1 ? rig_path(rig, "agent/%s/%s", directory, last) : NULL;
}

void inspect_wait_token(const struct rig *rig, char token[128], int64_t timeout_ms)
{
    int64_t deadline = mono_ms() + timeout_ms;
    for (;;) {
        TEXT(record) = inspect_record(rig, "spool");
        TEXT(path) = record ? must_printf("%s/claim.json", record) : NULL;
        TEXT(text) = path ? file_read(path) : must_strdup("");
        const char *at = strstr(text, "\"token\":");
        if (at) {
            at = strchr(at + 8, '"') + 1;
            snprintf(token, 128, "%.*s", (int)strcspn(at, "\""), at);
            return;
        }
        cr_assert(mono_ms() < deadline, "no record within %d ms", (int)timeout_ms);
        poll(NULL, 0, 5); /* the directory itself comes and goes: nothing stable to watch */
    }
}

bool inspect_wait_file(const char *path, bool wanted, int64_t timeout_ms)
{
    int64_t deadline = mono_ms() + timeout_ms;
    TEXT(directory) = must_strdup(path);
    *strrchr(directory, '/') = '\0';
    FD(watch) = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    inotify_add_watch(watch, directory, IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM);
    for (;;) {
        if ((access(path, F_OK) == 0) == wanted)
            return true;
        int64_t left_ms = deadline - mono_ms();
        if (left_ms <= 0)
            return false;
        wait_change(watch, left_ms < TICK_MS ? (int)left_ms : TICK_MS);
    }
}

void inspect_wait_status(struct rig *rig, const char *option, const char *words, int64_t timeout_ms)
{
    int64_t deadline = mono_ms() + timeout_ms;
    TEXT(directory) = rig_path(rig, "agent");
    FD(watch) = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    inotify_add_watch(watch, directory, IN_MOVED_TO);
    for (;;) {
        RUN(run) = rig_agent(rig, (const char *[]){"status", option, NULL});
        if (strstr(run.out, words))
            return;
        cr_assert(mono_ms() < deadline, "status does not say \"%s\":\n%s%s", words, run.out,
                  run.err);
        wait_change(watch, TICK_MS);
    }
}

static bool arguments_hold(pid_t pid, const char *const words[])
{
    char path[64], text[16384];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (size <= 0)
        return false;
    for (size_t i = 0; words[i]; i++)
        if (!memmem(text, (size_t)size, words[i], strlen(words[i])))
            return false;
    return true;
}

int inspect_processes(const char *const words[], pid_t pids[], int max)
{
    int count = 0;
    DIRECTORY(proc) = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 1 && pid != getpid() && arguments_hold(pid, words)) {
            if (count < max)
                pids[count] = pid;
            count++;
        }
    }
    return count;
}

char inspect_state(pid_t pid)
{
    char state;
    TEXT(path) = must_printf("/proc/%d/stat", (int)pid);
    STREAM(file) = fopen(path, "re");
    return file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1 ? state : 'X';
}

bool inspect_lives(pid_t pid)
{
    char state = inspect_state(pid);
    return state != 'Z' && state != 'X';
}

void inspect_wait_end(pid_t pid)
{
    FD(pidfd) = pidfd_open(pid, 0);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    cr_assert(pidfd < 0 || poll(&end, 1, RIG_JOB_MS) == 1, "process %d runs on", (int)pid);
}

int64_t inspect_rss_anon_kib(pid_t pid)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[size > 0 ? size : 0] = '\0';
    const char *at = strstr(text, "RssAnon:");
    return at ? strtoll(at + 8, NULL, 10) : -1;
}
