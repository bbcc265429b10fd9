/* machine: this node's graphics devices and memory, according to the kernel. Runs no program.
 *
 * A transcoder's memory is the anonymous resident memory of its process group, read from /proc. Not
 * an rlimit: RLIMIT_AS and RLIMIT_DATA count address space, and an SVT-AV1 ladder with 780 threads
 * has 7.8 GB of that with 1.2 GB in use. Not a cgroup: an agent cannot create one unless its unit
 * delegates it. */
#ifndef AGENT_MACHINE_H
#define AGENT_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { GPU_MAX = 16, GPU_PATH_BYTES = 128, GPU_NAME_BYTES = 96 };

struct gpu {
    char path[GPU_PATH_BYTES]; /* /dev/dri/renderD128, /dev/nvidia0 */
    char name[GPU_NAME_BYTES];
    bool is_nvidia; /* by NVIDIA's own driver */
    bool may_use;   /* we can open it for reading and writing */
    char group[32]; /* of its file; "" = unknown */
};

/* Sorted by path. Returns how many are in gpus. */
size_t machine_list_gpus(struct gpu gpus[GPU_MAX]);
/* The version of NVIDIA's kernel module; "" = none. */
void machine_nvidia_version(char *text, size_t size);

/* The machine's memory or the limit of our cgroup, whichever is smaller. */
int64_t machine_memory_bytes(void);
/* Of all processes in the group. 0: there are none. */
int64_t machine_group_memory_bytes(pid_t group);

#endif
