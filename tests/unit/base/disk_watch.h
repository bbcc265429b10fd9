/* disk_watch: the fsyncs and renames of this executable, counted from 1 (test_durable.c). */
#ifndef UNIT_DISK_WATCH_H
#define UNIT_DISK_WATCH_H

/* Begin to count: the fail_at-th call fails with EIO, at the kill_at-th the process dies by
 * SIGKILL. 0: none. */
void disk_watch(int fail_at, int kill_at);

#endif
