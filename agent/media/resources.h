/* resources: the machine's memory, and the memory that a transcoder uses.
 *
 * Anonymous resident memory of a whole process group, read from /proc. Not an rlimit: RLIMIT_AS and
 * RLIMIT_DATA count address space, and an SVT-AV1 ladder with 780 threads has 7.8 GB of that with
 * 1.2 GB in use. Not a cgroup: an agent cannot create one unless its unit delegates it. */
#ifndef AGENT_RESOURCES_H
#define AGENT_RESOURCES_H

#include <stdint.h>
#include <sys/types.h>

/* The machine's memory or the limit of our cgroup, whichever is smaller. */
int64_t resources_machine_bytes(void);
/* Of all processes in the group. 0: there are none. */
int64_t resources_group_bytes(pid_t group);

#endif
