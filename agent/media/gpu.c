#include "agent/media/gpu.h"

#include "lib/cleanup.h"

#include <ctype.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = 128, GROUP_BYTES = 4096 };

/* The first line of a small kernel file. */
static void read_line(const char *path, char *line, size_t size)
{
    line[0] = '\0';
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, line, size - 1) : -1;
    line[got > 0 ? got : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

void gpu_nvidia_version(char *text, size_t size)
{
    read_line("/sys/module/nvidia/version", text, size);
}

static void name_of_render_node(const char *node, char name[GPU_NAME_BYTES])
{
    static const struct {
        const char *vendor, *name;
    } vendors[] = {{"0x8086", "Intel"}, {"0x1002", "AMD"}, {"0x10de", "NVIDIA"}};
    char path[LINE_BYTES], vendor[16], device[16];
    snprintf(path, sizeof path, "/sys/class/drm/%.32s/device/vendor", node);
    read_line(path, vendor, sizeof vendor);
    snprintf(path, sizeof path, "/sys/class/drm/%.32s/device/device", node);
    read_line(path, device, sizeof device);
    const char *known = "unknown";
    for (size_t i = 0; i < sizeof vendors / sizeof vendors[0]; i++)
        if (strcmp(vendor, vendors[i].vendor) == 0)
            known = vendors[i].name;
    snprintf(name, GPU_NAME_BYTES, "%s (%.8s:%.8s)", known, vendor[0] ? vendor + 2 : "?",
             device[0] ? device + 2 : "?");
}

/* The first card's: "Model: \t\t NVIDIA GeForce …". */
static void name_of_nvidia(char name[GPU_NAME_BYTES])
{
    snprintf(name, GPU_NAME_BYTES, "NVIDIA");
    DIRECTORY(cards) = opendir("/proc/driver/nvidia/gpus");
    for (struct dirent *card; cards && (card = readdir(cards));) {
        char path[LINE_BYTES], line[LINE_BYTES];
        if (card->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/driver/nvidia/gpus/%.40s/information", card->d_name);
        read_line(path, line, sizeof line);
        if (strncmp(line, "Model:", 6) == 0)
            snprintf(name, GPU_NAME_BYTES, "%.90s", line + 6 + strspn(line + 6, " \t"));
        return;
    }
}

static void check_one(struct gpu *gpu)
{
    struct stat status;
    struct group group, *found = NULL;
    char buffer[GROUP_BYTES];
    gpu->may_use = access(gpu->path, R_OK | W_OK) == 0;
    if (stat(gpu->path, &status) == 0 &&
        getgrgid_r(status.st_gid, &group, buffer, sizeof buffer, &found) == 0 && found)
        snprintf(gpu->group, sizeof gpu->group, "%.31s", group.gr_name);
}

static bool is_numbered(const char *name, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(name, prefix, size) == 0 && isdigit((unsigned char)name[size]);
}

static size_t add_from(const char *directory, const char *prefix, bool is_nvidia,
                       struct gpu gpus[GPU_MAX], size_t count)
{
    DIRECTORY(list) = opendir(directory);
    for (struct dirent *entry; list && count < GPU_MAX && (entry = readdir(list));) {
        if (!is_numbered(entry->d_name, prefix))
            continue;
        struct gpu *gpu = &gpus[count++];
        *gpu = (struct gpu){.is_nvidia = is_nvidia};
        snprintf(gpu->path, sizeof gpu->path, "%.40s/%.64s", directory, entry->d_name);
        if (is_nvidia)
            name_of_nvidia(gpu->name);
        else
            name_of_render_node(entry->d_name, gpu->name);
        check_one(gpu);
    }
    return count;
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct gpu *)left)->path, ((const struct gpu *)right)->path);
}

size_t gpu_list(struct gpu gpus[GPU_MAX])
{
    size_t count = add_from("/dev/dri", "renderD", false, gpus, 0);
    count = add_from("/dev", "nvidia", true, gpus, count);
    qsort(gpus, count, sizeof *gpus, compare);
    return count;
}
