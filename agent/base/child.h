/* child: another program in its own process group: start it, monitor it, end it, reap it.
 *
 * A child dies with its parent (PDEATHSIG SIGKILL), has /dev/null as stdin, inherits only the
 * descriptors that it was given, and is monitored through a pidfd, so that a reused PID is never
 * signaled. Between fork and exec only async-signal-safe functions run (libcurl has threads). If
 * the program cannot be executed, or not within its sandbox, child_spawn fails; there is no exit
 * status.
 *
 * The parent's death kills only the child itself. Processes that the child started carry a mark (an
 * environment variable NAME=value), and the next run kills them by it: child_kill_marked. */
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
    char *const *argv;        /* argv[0] is searched for in PATH */
    char *const *environment; /* additional NAME=value strings, NULL-terminated; may be NULL */
    int directory;            /* working directory; -1 = unchanged */
    int out_fd, err_fd;       /* borrowed */
    struct sandbox sandbox;   /* all zero: no network, our own niceness */
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

/* Does it end within timeout_ms (0: check only)? Then it is reaped, the rest of its group is
 * killed, and *child is empty again. */
bool child_wait(struct child *child, int64_t timeout_ms, struct child_exit *how);

/* SIGTERM to the group, SIGKILL after CHILD_TERM_MS, reap; the rest of the group is killed. Does
 * nothing for an empty child. */
void child_stop(struct child *child);

/* Suspends the whole group (SIGSTOP), or resumes it. A process keeps its PID until it is reaped, so
 * this cannot hit another one. A stopped child can be ended as usual. */
void child_pause(const struct child *child);
void child_unpause(const struct child *child);

/* "exit status 1", "signal 9 (Killed)" */
void child_describe(struct child_exit how, char *text, size_t size);

/* The last non-empty line of a log, truncated at the limit and without control bytes; or "". */
void child_last_line(int log_fd, char line[CHILD_LAST_LINE_BYTES]);

/* Kill every process except this one whose environment contains `mark`. Returns how many. */
int child_kill_marked(const char *mark);

#endif
