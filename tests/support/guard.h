/* guard: nothing of a test outlives it, however it ends.
 *
 * A small process of its own waits for the test's end: a pipe closes, also where the test was
 * killed or aborted. It then kills every process that belongs to the scratch directory (by the
 * variable TAILSLATE_TEST_SCRATCH in its environment, its working directory or its arguments:
 * steps run in sessions of their own, so that no group and no parent leads to them), prints the
 * end of each log unless the test said that all is well, and removes the directory (kept where
 * TAILSLATE_TEST_KEEP is set). */
#ifndef SUPPORT_GUARD_H
#define SUPPORT_GUARD_H

#include <sys/types.h>

struct guard {
    pid_t pid;
    int pipe;
};

void guard_start(struct guard *guard, const char *scratch);
void guard_end(struct guard *guard); /* the test is well; returns when all is gone */

/* SIGKILL everything that belongs to the scratch directory, but not ourselves; as if the node had
 * lost power. Returns the number of processes killed, when they are dead. */
int guard_kill_all(const char *scratch);

#endif
