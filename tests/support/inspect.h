/* inspect: what a test reads directly: the verifier's database, its files, the agent's spool.
 * Trusts no answer. Read-only, except inspect_change, which stands for an operator who works on the
 * database by hand. What is not as it must be fails the test. */
#ifndef SUPPORT_INSPECT_H
#define SUPPORT_INSPECT_H

#include "rig.h"

#include <stddef.h>
#include <stdint.h>

/* One value out of the verifier's database; no row: -1 / "". */
int64_t inspect_int(const struct rig *rig, const char *sql, ...)
    __attribute__((format(printf, 2, 3)));
void inspect_text(const struct rig *rig, char *text, size_t size, const char *sql, ...)
    __attribute__((format(printf, 4, 5)));

void inspect_change(const struct rig *rig, const char *sql, ...)
    __attribute__((format(printf, 2, 3)));
/* Hold the database's write lock until the returned handle is given back. */
struct sqlite3;
struct sqlite3 *inspect_lock_database(const struct rig *rig);
void inspect_unlock_database(struct sqlite3 *lock);

/* One completions row; job and video closed as the completion writes it; and look_tree. */
void inspect_job_completed_once(const struct rig *rig, int64_t job);
/* Every recorded quality has its files, each segment that its playlist lists is there and none is
 * empty; master playlist, manifest and thumbnail are there. */
void inspect_tree(const struct rig *rig, int64_t job);
char *inspect_video(const struct rig *rig, int64_t job); /* its directory in videos_dir; owned */
/* No record is left, neither live nor kept nor in quarantine. */
void inspect_spool_empty(const struct rig *rig);
int inspect_spool_count(const struct rig *rig,
                        const char *directory); /* "spool", "kept", "quarantine" */
/* Wait until a directory holds so many records; fails the test at the deadline. */
void inspect_wait_spool(const struct rig *rig, const char *directory, int count,
                        int64_t timeout_ms);
/* The only record of a directory: its directory, owned; NULL: there is none. More fail the test. */
char *inspect_record(const struct rig *rig, const char *directory);
/* The token in the record's claim.json; waits for the record to appear. */
void inspect_wait_token(const struct rig *rig, char token[128], int64_t timeout_ms);
/* Wait until a file is there (or, where wanted is false, gone). False at the deadline. */
bool inspect_wait_file(const char *path, bool wanted, int64_t timeout_ms);
/* Wait until `tailslate-agent status OPTION` (NULL: none) says so: it is published now and then. */
void inspect_wait_status(struct rig *rig, const char *option, const char *words,
                         int64_t timeout_ms);
/* Wait until the query gives the value. */
void inspect_wait_int(const struct rig *rig, int64_t value, int64_t timeout_ms, const char *sql,
                      ...) __attribute__((format(printf, 4, 5)));
/* pids of live processes whose arguments hold all of the words; at most max are given. */
int inspect_processes(const char *const words[], pid_t pids[], int max);
/* As ps tells it: 'T' is stopped; 'X' where it is no more. */
char inspect_state(pid_t pid);
bool inspect_lives(pid_t pid); /* a zombie that was not waited for does not */
void inspect_wait_end(pid_t pid);
/* RssAnon of /proc/<pid>/status in KiB. */
int64_t inspect_rss_anon_kib(pid_t pid);

#endif
