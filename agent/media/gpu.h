/* gpu: which graphics devices this node has, by what the kernel shows of them. Runs nothing. */
#ifndef AGENT_GPU_H
#define AGENT_GPU_H

#include <stdbool.h>
#include <stddef.h>

enum { GPU_MAX = 16, GPU_PATH_BYTES = 128, GPU_NAME_BYTES = 96 };

struct gpu {
    char path[GPU_PATH_BYTES]; /* /dev/dri/renderD128, /dev/nvidia0 */
    char name[GPU_NAME_BYTES];
    bool is_nvidia; /* by NVIDIA's own driver */
    bool may_use;   /* we may open it for reading and writing */
    char group[32]; /* that its file belongs to; "" = unknown */
};

/* Sorted by path. Returns how many of them are in gpus. */
size_t gpu_list(struct gpu gpus[GPU_MAX]);
/* Of NVIDIA's kernel module; "" where there is none. */
void gpu_nvidia_version(char *text, size_t size);

#endif
