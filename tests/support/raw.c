#include "raw.h"

#include "base/clock.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in loopback(int host, int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(0x7f000000u | (unsigned)host)};
}

int raw_connect(const struct rig *rig, int host)
{
    struct sockaddr_in from = loopback(host, 0), to = loopback(1, rig->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0);
    cr_assert(bind(fd, (struct sockaddr *)&from, sizeof from) == 0, "127.0.0.%d", host);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool raw_send(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        if (poll(&writable, 1, RAW_SEND_MS) != 1)
            return false;
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

bool raw_send_text(int fd, const char *text)
{
    return raw_send(fd, text, strlen(text));
}

size_t raw_read(int fd, char *buffer, size_t size, int64_t quiet_ms)
{
    size_t used = 0;
    struct pollfd in = {.fd = fd, .events = POLLIN};
    while (used < size - 1 && poll(&in, 1, (int)quiet_ms) == 1) {
        ssize_t got = recv(fd, buffer + used, size - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    buffer[used] = '\0';
    return used;
}

bool raw_is_closed(int fd)
{
    char waste[4096];
    ssize_t got;
    while ((got = recv(fd, waste, sizeof waste, MSG_DONTWAIT)) > 0)
        ;
    return got == 0 || (errno != EAGAIN && errno != EINTR);
}

int raw_status(const struct rig *rig, const void *data, size_t size, char *answer, size_t capacity)
{
    int status = 0;
    int fd = raw_connect(rig, 2);
    answer[0] = '\0';
    if (fd < 0)
        return 0;
    raw_send(fd, data, size);
    shutdown(fd, SHUT_WR); /* so that a server which waits for more says what it thinks now */
    raw_read(fd, answer, capacity, RAW_QUIET_MS);
    close(fd);
    return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

/* ---- the watch ---- */

enum { LATENCIES_MAX = 100 * 1000, PAUSE_MS = 20 };

struct watch {
    struct scene scene; /* a copy: whose test returns it by value */
    pthread_t thread;
    atomic_bool is_over;
    int64_t *latencies;
    struct watch_report report;
};

/* "RssAnon:", "Threads:" */
static int64_t status_line(pid_t pid, const char *name)
{
    char path[64], line[256];
    int64_t value = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    STREAM(status) = fopen(path, "re");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoll(line + strlen(name), NULL, 10);
    return value;
}

static int64_t rss_of(const struct watch *watch)
{
    return status_line(watch->scene.rig->verifier->pid, "RssAnon:");
}

static void sample(struct watch *watch)
{
    struct watch_report *report = &watch->report;
    int64_t rss = rss_of(watch);
    int64_t threads = status_line(watch->scene.rig->verifier->pid, "Threads:");
    report->rss_max_kib = rss > report->rss_max_kib ? rss : report->rss_max_kib;
    report->threads_max = threads > report->threads_max ? threads : report->threads_max;
}

static void *keep_watch(void *ctx)
{
    struct watch *watch = ctx;
    struct watch_report *report = &watch->report;
    while (!atomic_load(&watch->is_over)) {
        REPLY(reply) = worker_complete(&watch->scene.worker, watch->scene.token);
        report->failures += reply.status != 200;
        if (report->calls < LATENCIES_MAX)
            watch->latencies[report->calls++] = reply.took_ms;
        sample(watch);
        poll(NULL, 0, PAUSE_MS);
    }
    return NULL;
}

struct watch *watch_start(const struct scene *scene)
{
    struct watch *watch = must_calloc(1, sizeof *watch);
    watch->scene = *scene;
    watch->latencies = must_calloc(LATENCIES_MAX, sizeof *watch->latencies);
    REPLY(first) = worker_complete(&scene->worker, scene->token);
    reply_is(&first, 200, NULL);
    watch->report.rss_before_kib = watch->report.rss_max_kib = rss_of(watch);
    cr_assert(pthread_create(&watch->thread, NULL, keep_watch, watch) == 0);
    return watch;
}

struct scene watch_scene(struct watch **watch)
{
    struct rlimit files = {8192, 8192};
    setrlimit(RLIMIT_NOFILE, &files);
    /* What the sanitizer keeps of freed memory, to find late uses, is no memory of ours; neither
     * are the second stacks, 6 MB a thread, that GCC 13 and later give each thread for the same. */
    setenv("ASAN_OPTIONS",
           "abort_on_error=1:detect_leaks=1:quarantine_size_mb=4:"
           "thread_local_quarantine_size_kb=16:detect_stack_use_after_return=0",
           1);
    struct scene scene = scene_uploaded();
    *watch = watch_start(&scene);
    return scene;
}

static int by_size(const void *left, const void *right)
{
    int64_t l = *(const int64_t *)left, r = *(const int64_t *)right;
    return (l > r) - (l < r);
}

struct watch_report watch_end(struct watch *watch)
{
    struct watch_report *report = &watch->report;
    atomic_store(&watch->is_over, true);
    pthread_join(watch->thread, NULL);
    cr_assert_gt(report->calls, 0);
    qsort(watch->latencies, (size_t)report->calls, sizeof *watch->latencies, by_size);
    report->latency_max_ms = watch->latencies[report->calls - 1];
    report->latency_p99_ms = watch->latencies[report->calls * 99 / 100];
    report->rss_after_kib = rss_of(watch);
    cr_log_info("good client: %lld calls, %lld failed, p99 %lld ms, max %lld ms; RssAnon %lld -> "
                "%lld -> %lld KiB; %lld threads",
                (long long)report->calls, (long long)report->failures,
                (long long)report->latency_p99_ms, (long long)report->latency_max_ms,
                (long long)report->rss_before_kib, (long long)report->rss_max_kib,
                (long long)report->rss_after_kib, (long long)report->threads_max);
    struct watch_report result = *report;
    free(watch->latencies);
    free(watch);
    return result;
}

int64_t metric_of(const struct rig *rig, const char *name)
{
    TEXT(url) = must_printf("http://127.0.0.1:%d/metrics", rig->port);
    REPLY(reply) = call_make(&(struct call){.url = url});
    reply_is(&reply, 200, NULL);
    TEXT(wanted) = must_printf("\n%s ", name);
    const char *line = strstr(reply.body, wanted);
    cr_assert(line, "no metric %s", name);
    return strtoll(line + strlen(wanted), NULL, 10);
}

static bool is_event(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            return false;
    TEXT(text) = must_printf("%.*s", (int)size, line);
    if (text[0] == '{') {
        struct error err;
        JSON(json) = json_parse(text, size, &err);
        return json && json_get(json, "event");
    }
    char level[16], event[64], rest;
    return sscanf(text, "time=%*[0-9T:.-]Z level=%15s event=%63s%c", level, event, &rest) >= 2;
}

void log_is_whole(const struct rig *rig)
{
    TEXT(path) = rig_path(rig, "verifier.%d.log", rig->verifier_lives);
    TEXT(text) = file_read(path);
    int count = 0;
    for (const char *line = text; *line; count++) {
        size_t size = strcspn(line, "\n");
        cr_assert(line[size] == '\n', "the log ends within a line: %.200s", line);
        cr_assert(is_event(line, size), "no event: %.*s", (int)(size < 300 ? size : 300), line);
        line += size + 1;
    }
    cr_assert_gt(count, 0);
}

enum {
    /* With sanitizers, on a machine that does other things too. */
    LATENCY_MAX_MS = 5000,
    THREADS_MAX = 540,
#ifdef __SANITIZE_ADDRESS__
    GROWTH_MAX_KIB = 160 * 1024,
    SETTLED_MAX_KIB = 96 * 1024,
#else
    GROWTH_MAX_KIB = 32 * 1024,
    SETTLED_MAX_KIB = 24 * 1024,
#endif
};

void watch_end_well(struct scene *scene, struct watch *watch)
{
    struct watch_report report = watch_end(watch);
    cr_expect_eq(report.failures, 0, "the good client was refused");
    cr_expect_leq(report.latency_max_ms, LATENCY_MAX_MS);
    cr_expect_leq(report.threads_max, THREADS_MAX);
    cr_expect_leq(report.rss_max_kib - report.rss_before_kib, GROWTH_MAX_KIB);
    cr_expect_leq(report.rss_after_kib - report.rss_before_kib, SETTLED_MAX_KIB);
    log_is_whole(scene->rig);
    inspect_job_completed_once(scene->rig, scene->job);
    rig_end(scene->rig);
}
