/* gpu: the graphics devices of this node, according to the kernel. Runs no program. */
#ifndef AGENT_GPU_H
#define AGENT_GPU_H

#include <stdbool.h>
#include <stddef.h>

enum { GPU_MAX = 16, GPU_PATH_BYTES = 128, GPU_NAME_BYTES = 96 };

struct gpu {
    char path[GPU_PATH_BYTES]; /* /dev/dri/renderD128, /dev/nvidia0 */
    char name[GPU_NAME_BYTES];
    bool is_nvidia; /* by NVIDIA's own driver */
    bool may_use;   /* we can open it for reading and writing */
    char group[32]; /* of its file; "" = unknown */
};

/* Sorted by path. Returns how many are in gpus. */
size_t gpu_list(struct gpu gpus[GPU_MAX]);
/* The version of NVIDIA's kernel module; "" = none. */
void gpu_nvidia_version(char *text, size_t size);

#endif
