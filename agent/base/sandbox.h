/* sandbox: restricts another program, in the child between fork and exec.
 *
 * A transcoder reads what anybody uploads, with decoders that have had security holes. So it gets
 * no network (a seccomp filter blocks socket(2) except AF_UNIX or entirely, io_uring, which opens
 * sockets by itself, and access to other processes' descriptors), no new privileges, no core dumps,
 * a limited file size and number of open files, and low priority (nice, disk, OOM killer). System
 * calls of another architecture than the filter's, and x32, are refused.
 *
 * sandbox_enter is async-signal-safe. If the kernel supports a restriction but refuses to apply it,
 * it fails and the program is not started. On a kernel without seccomp there is no filter
 * (sandbox_can_filter: `check` warns). It does not hide files and does not protect against a hole
 * in the kernel. */
#ifndef AGENT_SANDBOX_H
#define AGENT_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

enum sandbox_network {
    SANDBOX_CLOSED, /* no sockets at all (except a socket pair within the process family) */
    SANDBOX_LOCAL,  /* AF_UNIX only, which drivers and name services use to reach their daemons */
    SANDBOX_OPEN,   /* not filtered, and privileges can be gained (sudo in a command) */
};

struct sandbox {
    enum sandbox_network network;
    int nice;                 /* added to our niceness */
    bool is_io_low;           /* the lowest of the best-effort disk priorities */
    int64_t file_limit_bytes; /* largest file; 0 = no limit */
    int64_t open_files;       /* 0 = our own limit */
    int64_t data_limit_bytes; /* RLIMIT_DATA, for programs with few threads; 0 = no limit */
};

int sandbox_enter(const struct sandbox *sandbox); /* -1: errno */

bool sandbox_can_filter(void);

#endif
