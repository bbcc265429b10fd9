/* resources: the memory that there is, and the memory that a transcoder takes.
 *
 * Anonymous resident memory of a whole process group, read from /proc. Not an rlimit: RLIMIT_AS and
 * RLIMIT_DATA count addresses, and an SVT-AV1 ladder with 780 threads has 7.8 GB of those with 1.2
 * GB in use. Not a control group: an agent has none to hand out unless its unit delegates one. */
#ifndef AGENT_RESOURCES_H
#define AGENT_RESOURCES_H

#include <stdint.h>
#include <sys/types.h>

/* The machine's, or what its control group leaves us, the smaller. */
int64_t resources_machine_bytes(void);
/* Of all processes of the group. 0: there are none. */
int64_t resources_group_bytes(pid_t group);

#endif
