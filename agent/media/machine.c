#include "agent/media/machine.h"

#include "lib/cleanup.h"

#include <ctype.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- graphics devices ------------------------------------------------------------------------ */

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

void machine_nvidia_version(char *text, size_t size)
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

size_t machine_list_gpus(struct gpu gpus[GPU_MAX])
{
    size_t count = add_from("/dev/dri", "renderD", false, gpus, 0);
    count = add_from("/dev", "nvidia", true, gpus, count);
    qsort(gpus, count, sizeof *gpus, compare);
    return count;
}

/* ---- memory ---------------------------------------------------------------------------------- */

enum { PATH_BYTES = 512, TEXT_BYTES = 4096, KIB = 1024 };

static void read_text(const char *path, char text[TEXT_BYTES])
{
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, TEXT_BYTES - 1) : -1;
    text[size > 0 ? size : 0] = '\0';
}

/* "RssAnon:           1234 kB"; 0 if there is no such line. */
static int64_t kib_of(const char *text, const char *name)
{
    long long kib = 0;
    const char *at = strstr(text, name);
    if (!at || sscanf(at + strlen(name), ": %lld kB", &kib) != 1)
        return 0;
    return kib * KIB;
}

/* ---- the machine's --------------------------------------------------------------------------- */

/* INT64_MAX: no limit ("max"), or no such file. */
static int64_t bound_of(const char *path)
{
    char text[TEXT_BYTES];
    long long bytes;
    read_text(path, text);
    return sscanf(text, "%lld", &bytes) == 1 && bytes > 0 ? bytes : INT64_MAX;
}

/* Our cgroup and its parents: any of them may have the smallest limit. */
static int64_t group_bound(void)
{
    char text[TEXT_BYTES], path[PATH_BYTES];
    int64_t least = INT64_MAX;
    read_text("/proc/self/cgroup", text);
    char *line = strstr(text, "0::/");
    if (!line)
        return least;
    line[strcspn(line, "\n")] = '\0';
    for (char *group = line + 3; *group;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%.400s/memory.max", group);
        int64_t bound = bound_of(path);
        least = bound < least ? bound : least;
        *strrchr(group, '/') = '\0';
    }
    int64_t root = bound_of("/sys/fs/cgroup/memory.max");
    return root < least ? root : least;
}

int64_t machine_memory_bytes(void)
{
    char text[TEXT_BYTES];
    read_text("/proc/meminfo", text);
    int64_t total = kib_of(text, "MemTotal"), bound = group_bound();
    return bound < total ? bound : total;
}

/* ---- a group's ------------------------------------------------------------------------------- */

/* "123 (a name) S 1 456 …": after the last parenthesis, the third field is the group. */
static bool is_of_group(const char *pid, pid_t group)
{
    char path[64], text[TEXT_BYTES], state;
    int parent, found;
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    read_text(path, text);
    const char *at = strrchr(text, ')');
    return at && sscanf(at + 1, " %c %d %d", &state, &parent, &found) == 3 && found == group;
}

static int64_t memory_of(const char *pid)
{
    char path[64], text[TEXT_BYTES];
    snprintf(path, sizeof path, "/proc/%.20s/status", pid);
    read_text(path, text);
    return kib_of(text, "RssAnon") + kib_of(text, "VmSwap");
}

int64_t machine_group_memory_bytes(pid_t group)
{
    int64_t total = 0;
    DIRECTORY(proc) = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0]) && is_of_group(entry->d_name, group))
            total += memory_of(entry->d_name);
    return total;
}
