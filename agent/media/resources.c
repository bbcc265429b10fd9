#include "agent/media/resources.h"

#include "lib/cleanup.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

int64_t resources_machine_bytes(void)
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

int64_t resources_group_bytes(pid_t group)
{
    int64_t total = 0;
    DIRECTORY(proc) = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0]) && is_of_group(entry->d_name, group))
            total += memory_of(entry->d_name);
    return total;
}
