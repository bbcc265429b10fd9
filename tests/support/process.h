/* process: a program under test, from start to exit status.
 *
 * Its stderr goes into a file, never through a pipe of ours: what it leaves behind (a step that
 * outlives the agent) must be able to go on writing, and the file is what a failed test shows.
 * Waiting for a line of that log is waiting on inotify, with a deadline; nothing here sleeps.
 * The kernel kills the program with us (PR_SET_PDEATHSIG); what *it* started is guard.h's work.
 *
 * What fails here fails the test. */
#ifndef SUPPORT_PROCESS_H
#define SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PATH_BYTES = 512, LINE_BYTES = 4200, PROCESS_ARGS_MAX = 64, STOP_MS = 20 * 1000 };

struct process {
    pid_t pid;
    int pidfd;
    int status; /* as of waitpid; meaningful where is_over */
    bool is_over;
    char log[PATH_BYTES];
};

/* argv and env end with NULL; env ("NAME=value") is added to ours and may be NULL. argv[0] is
 * looked up in PATH. log: where stderr goes, appended; out: where stdout goes, NULL: /dev/null. */
struct process *process_start(const char *const argv[], const char *const env[], const char *log,
                              const char *out);
void process_free(struct process *process); /* kills what still runs */

void process_signal(const struct process *process, int signal);
void process_kill(struct process *process); /* SIGKILL, and waits for the end */
/* The exit status, 128 + n where signal n ended it; fails the test at the deadline. */
int process_wait(struct process *process, int64_t timeout_ms);
bool process_ends_within(struct process *process, int64_t timeout_ms);

/* Wait until its log has a line with all of these words, e.g. "event=job.final job=7"; a word that
 * ends with `=` stands for any value. Fails at the deadline, or as soon as it is dead without. */
void process_expect(struct process *process, const char *words, int64_t timeout_ms,
                    char line[LINE_BYTES]);

/* The same over a file that anybody writes. */
bool log_wait(const char *path, const char *words, int64_t timeout_ms, char line[LINE_BYTES]);
/* Until something holds that the program does not say itself, but that changes when it writes a
 * line; looked at twice a second besides. False at the deadline. */
bool log_wait_until(const char *path, bool (*holds)(void *ctx), void *ctx, int64_t timeout_ms);
bool log_find(const char *path, const char *words, char line[LINE_BYTES]);
int log_count(const char *path, const char *words);
/* `key=value` in a line, quotes taken off. False: not there. */
bool line_value(const char *line, const char *key, char *value, size_t size);

/* Run to the end. out and err are owned by the caller's struct: run_fini. */
struct run {
    int status;
    char *out, *err;
};
struct run run_program(const char *const argv[], const char *const env[], int64_t timeout_ms);
void run_fini(struct run *run);
/* unused: some are run for what they do, and nothing of them is looked at. */
#define RUN(name) __attribute__((cleanup(run_fini), unused)) struct run name

char *file_read(const char *path); /* owned, NUL-terminated; "" where there is none */
void file_write(const char *path, const char *text, mode_t mode);

#endif
