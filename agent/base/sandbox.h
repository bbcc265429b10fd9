/* sandbox: what a foreign program may not do, set in the child between fork and exec.
 *
 * A transcoder reads what strangers upload, with decoders that have had holes. So it gets no
 * network (a seccomp filter: socket(2) but for AF_UNIX, or at all; io_uring, which opens sockets
 * by itself; reaching into other processes for theirs), no new privileges, no core dumps, a
 * bounded file size and number of open files, and gives way to others (nice, disk, OOM killer).
 * Calls of another architecture than the filter's, and x32, are refused.
 *
 * sandbox_enter is async-signal-safe. It fails where the kernel could and did not: the program is
 * then not started. On a kernel without seccomp there is no filter (sandbox_can_filter: check
 * warns). It does not hide files and is no barrier against a hole in the kernel. */
#ifndef AGENT_SANDBOX_H
#define AGENT_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

enum sandbox_network {
    SANDBOX_CLOSED, /* no socket at all (a pair within the process family is none) */
    SANDBOX_LOCAL,  /* AF_UNIX only: drivers and name services talk to their daemons so */
    SANDBOX_OPEN,   /* not filtered, and privileges may grow (sudo in a command) */
};

struct sandbox {
    enum sandbox_network network;
    int nice;                 /* added to ours */
    bool is_io_low;           /* the lowest of the best-effort disk priorities */
    int64_t file_limit_bytes; /* no file grows over it; 0 = no limit of ours */
    int64_t open_files;       /* 0 = as ours */
    int64_t data_limit_bytes; /* RLIMIT_DATA, for what has few threads; 0 = no limit of ours */
};

int sandbox_enter(const struct sandbox *sandbox); /* -1: errno */

bool sandbox_can_filter(void);

#endif
