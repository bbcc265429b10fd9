/* child: a foreign program in a process group of its own: spawn, watch, escalate, reap.
 *
 * A child dies with its parent (PDEATHSIG SIGKILL), has /dev/null as stdin, writes only to the
 * descriptors that it was given and inherits no other, and is watched through a pidfd, so that a
 * reused pid is never signalled. Between fork and exec only async-signal-safe calls run (libcurl
 * has threads). A program that cannot be executed, or not within its sandbox, is an error of
 * child_spawn, not an exit status.
 *
 * Death of the parent kills only the child itself; what the child had started is found by its mark
 * (an environment variable NAME=value) and killed by the next life: child_kill_marked. */
#ifndef AGENT_CHILD_H
#define AGENT_CHILD_H

#include "agent/base/sandbox.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CHILD_TERM_MS = 5 * 1000, CHILD_LAST_LINE_BYTES = 256, CHILD_ENVIRONMENT_MAX = 256 };

struct child_options {
    char *const *argv;        /* argv[0] is looked up in PATH */
    char *const *environment; /* NAME=value lines that are added; NULL-terminated; may be NULL */
    int directory;            /* where it runs; -1 = here */
    int out_fd, err_fd;       /* borrowed */
    struct sandbox sandbox;   /* all zero: no network, as nice as we are */
};

struct child {
    pid_t pid; /* also its process group; 0 = no child */
    int pidfd;
};
#define CHILD_INIT                                                                                 \
    {                                                                                              \
        .pid = 0, .pidfd = -1                                                                      \
    }

struct child_exit {
    bool signalled;
    int number; /* exit status or signal */
};

int child_spawn(const struct child_options *options, struct child *child, struct error *err);

/* Has it ended within timeout_ms (0: look only)? Then it is reaped, what is left of its group is
 * killed, and *child is empty again. */
bool child_wait(struct child *child, int64_t timeout_ms, struct child_exit *how);

/* SIGTERM to the group, SIGKILL after CHILD_TERM_MS, reap; whatever is left of the group is killed.
 * An empty child is fine. */
void child_stop(struct child *child);

/* Stops the whole group where it stands (SIGSTOP), or lets it go on. What is not yet reaped keeps
 * its pid, so that no other process can be meant. Ending a stopped child works as ever. */
void child_pause(const struct child *child);
void child_unpause(const struct child *child);

/* "exit status 1", "signal 9 (Killed)" */
void child_describe(struct child_exit how, char *text, size_t size);

/* The last line of a log that says something, cut at the limit and free of control bytes; "". */
void child_last_line(int log_fd, char line[CHILD_LAST_LINE_BYTES]);

/* Kill every process whose environment holds `mark`, but not this one. Returns how many. */
int child_kill_marked(const char *mark);

#endif
