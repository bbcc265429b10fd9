#include "vitals.h"

#include "tailslate/cleanup.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void print(FILE *out, const char *type, const char *name, const char *help, double value)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

static void print_memory(FILE *out)
{
    char line[256];
    long long number;
    STREAM(status) = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "RssAnon: %lld", &number) == 1)
            print(out, "gauge", "tailslate_process_anonymous_memory_bytes",
                  "Resident memory that is ours alone (RssAnon).", (double)number * 1024);
        if (sscanf(line, "VmRSS: %lld", &number) == 1)
            print(out, "gauge", "process_resident_memory_bytes", "Resident memory size in bytes.",
                  (double)number * 1024);
        if (sscanf(line, "Threads: %lld", &number) == 1)
            print(out, "gauge", "tailslate_process_threads", "Threads.", (double)number);
    }
}

static void print_descriptors(FILE *out)
{
    int count = 0;
    struct rlimit limit;
    DIRECTORY(list) = opendir("/proc/self/fd");
    while (list && readdir(list))
        count++;
    if (list) /* without `.`, `..` and the list itself */
        print(out, "gauge", "process_open_fds", "Open file descriptors.", count - 3);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        print(out, "gauge", "process_max_fds", "Most file descriptors there may be.",
              (double)limit.rlim_cur);
}

/* In seconds since 1970: boot time, plus our start in clock ticks since then. */
static void print_start(FILE *out)
{
    char line[1024];
    long long boot_s = 0;
    unsigned long long ticks;
    STREAM(system) = fopen("/proc/stat", "re");
    while (system && fgets(line, sizeof line, system) && sscanf(line, "btime %lld", &boot_s) != 1)
        ;
    STREAM(ours) = fopen("/proc/self/stat", "re");
    const char *behind_name = ours && fgets(line, sizeof line, ours) ? strrchr(line, ')') : NULL;
    /* Field 22; the first behind the name is the third. */
    if (boot_s > 0 && behind_name &&
        sscanf(behind_name + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &ticks) == 1)
        print(out, "gauge", "process_start_time_seconds",
              "Start time of the process since unix epoch in seconds.",
              (double)boot_s + (double)ticks / (double)sysconf(_SC_CLK_TCK));
}

static void print_time(FILE *out)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        print(out, "counter", "process_cpu_seconds_total", "User and system CPU time in seconds.",
              (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

void vitals_print(FILE *out)
{
    print_memory(out);
    print_descriptors(out);
    print_start(out);
    print_time(out);
}
