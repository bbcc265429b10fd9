/* How an agent delivers a spool full of sealed completions to a server that answers at once.
 *
 *   bench_backlog --agent PROGRAM --records N [--records N ...] [--rate R] [--refuse K]
 *
 * For each N a row: the seconds from the agent's start to its first request, to its first status,
 * to the first and the last completion and to the empty spool; its CPU until the
 * first request, in all, and for each delivery; its memory at most (VmHWM); connections that it
 * opened; completions that came out of order (a newer one before an older one) or more than once.
 * --refuse: every K-th completion is answered 503 at first.
 *
 * Exit 0: all delivered, once, the oldest first, and a delivery of the last row costs at most twice
 * the CPU of one of the first row. TMPDIR says on which disk. */
#include "backlog.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    FIRST_JOB = 1000001,
    RECORDS_MAX = 16384,
    ROWS_MAX = 16,
    CLAIM_HELD_MS = 20 * 1000,
    REQUEST_BYTES = 64 * 1024,
    LIMIT_MS = 20 * 60 * 1000,
    SHUFFLED_MAX = 64,
    LOOK_MS = 5,
    GROWTH_MAX = 2, /* of a delivery's CPU, from the first row to the last */
};

extern char **environ;

static struct {
    int listener, records, refuse;
    atomic_int connections, delivered, is_over;
    _Atomic int64_t first_request_ms, first_ms, last_ms;
    atomic_int seen[RECORDS_MAX], out_of_order, repeated;
} server;

/* ---- the server ---- */

static void reply(int fd, int status, const char *body)
{
    TEXT(text) = must_printf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\n\r\n%s",
                             status, strlen(body), body);
    (void)!write(fd, text, strlen(text));
}

/* The highest ID is the oldest (backlog.h), and a few are in flight at a time. */
static void note_order(int job)
{
    int expected = server.records - 1 - atomic_load(&server.delivered);
    if (abs(job - expected) > SHUFFLED_MAX)
        atomic_fetch_add(&server.out_of_order, 1);
}

static void complete(int fd, int64_t job_id, const char *body)
{
    int job = (int)(job_id - FIRST_JOB);
    must(job >= 0 && job < RECORDS_MAX);
    int times = atomic_fetch_add(&server.seen[job], 1);
    if (server.refuse && job % server.refuse == 0 && times == 0) {
        reply(fd, 503, "{\"code\":\"store_unavailable\",\"detail\":\"busy\"}");
        return;
    }
    if (times > (server.refuse && job % server.refuse == 0))
        atomic_fetch_add(&server.repeated, 1);
    note_order(job);
    const char *token = strstr(body, "\"completion_token\":\"");
    must(token);
    token += strlen("\"completion_token\":\"");
    TEXT(answer) = must_printf(
        "{\"status\":\"ok\",\"message\":\"Job completed successfully\",\"token\":\"%.*s\","
        "\"job_id\":%" PRId64 ",\"replayed\":false,\"late\":false,"
        "\"completed_at\":\"2026-01-03T16:28:00.123456+00:00\"}",
        (int)strcspn(token, "\""), token, job_id);
    int64_t now = mono_ms(), none = 0;
    atomic_compare_exchange_strong(&server.first_ms, &none, now);
    atomic_store(&server.last_ms, now);
    reply(fd, 200, answer);
    atomic_fetch_add(&server.delivered, 1);
}

static void answer(int fd, const char *request, const char *body)
{
    int64_t job_id, none = 0;
    atomic_compare_exchange_strong(&server.first_request_ms, &none, mono_ms());
    struct pollfd gone = {.fd = fd, .events = POLLIN | POLLRDHUP};
    if (sscanf(request, "POST /api/worker/%" SCNd64 "/complete", &job_id) == 1) {
        complete(fd, job_id, body);
    } else if (strncmp(request, "POST /api/worker/claim", 22) == 0) {
        poll(&gone, 1, CLAIM_HELD_MS);
        reply(fd, 200, "{\"job_id\":null,\"message\":\"No jobs available\"}");
    } else {
        reply(fd, 200, "{\"status\":\"ok\",\"server_time\":\"2026-01-03T16:28:00Z\"}");
    }
}

/* The body of a whole request in buffer, or NULL: there is none yet. */
static const char *find_body(const char *buffer, size_t used)
{
    const char *end = strstr(buffer, "\r\n\r\n"), *size = strstr(buffer, "Content-Length: ");
    if (!end)
        return NULL;
    size_t wanted = size && size < end ? strtoul(size + 16, NULL, 10) : 0;
    return used >= (size_t)(end + 4 - buffer) + wanted ? end + 4 : NULL;
}

/* NULL: the connection has ended. */
static const char *read_request(int fd, char buffer[REQUEST_BYTES])
{
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, buffer + used, REQUEST_BYTES - 1 - used);
        if (got <= 0)
            return NULL;
        used += (size_t)got;
        buffer[used] = '\0';
        const char *body = find_body(buffer, used);
        if (body)
            return body;
    }
}

static void *serve_connection(void *ctx)
{
    FD(fd) = *(int *)ctx;
    free(ctx);
    TEXT(buffer) = must_malloc(REQUEST_BYTES);
    const char *body;
    while ((body = read_request(fd, buffer)))
        answer(fd, buffer, body);
    return NULL;
}

static void *serve(void *ctx)
{
    for (int fd; (fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_t thread;
        int *connection = must_malloc(sizeof *connection);
        *connection = fd;
        atomic_fetch_add(&server.connections, 1);
        must(pthread_create(&thread, NULL, serve_connection, connection) == 0);
        pthread_detach(thread);
    }
    return ctx;
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(server.listener, (struct sockaddr *)&address, size) == 0);
    must(listen(server.listener, 64) == 0);
    must(getsockname(server.listener, (struct sockaddr *)&address, &size) == 0);
    return ntohs(address.sin_port);
}

/* ---- the agent ---- */

static void write_text(const char *dir, const char *name, const char *text)
{
    TEXT(path) = must_printf("%s/%s", dir, name);
    FD(fd) = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static pid_t start_agent(const char *program, const char *dir, double rate, int port)
{
    TEXT(config) = must_printf(
        "server: { url = \"http://127.0.0.1:%d\"; api_key_file = \"%s/key\"; };\n"
        "node: { state_dir = \"%s/agent\"; min_free_disk_gb = 0.0; };\n"
        "retry: { rate_per_second = %f; };\n"
        "transcode: { recipe = \"command\"; command = \"/bin/true\"; };\n",
        port, dir, dir, rate);
    write_text(dir, "agent.cfg", config);
    write_text(dir, "key", "w.0123456789abcdef0123456789abcdef\n");
    TEXT(path) = must_printf("%s/agent.cfg", dir);
    TEXT(log) = must_printf("%s/agent.log", dir);
    TEXT(name) = must_strdup(program);
    char option[] = "-c", command[] = "run";
    char *const argv[] = {name, option, path, command, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    must(posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static void read_proc(pid_t pid, const char *name, char text[4096])
{
    TEXT(path) = must_printf("/proc/%d/%s", (int)pid, name);
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, text, 4095);
    text[size > 0 ? size : 0] = '\0';
}

static double cpu_seconds(pid_t pid)
{
    char text[4096];
    unsigned long user = 0, system = 0;
    read_proc(pid, "stat", text);
    const char *after = strrchr(text, ')');
    if (after)
        sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double peak_mib(pid_t pid)
{
    char text[4096];
    read_proc(pid, "status", text);
    const char *line = strstr(text, "VmHWM:");
    return line ? (double)strtol(line + 6, NULL, 10) / 1024 : 0;
}

static double since(int64_t start_ms, int64_t at_ms)
{
    return at_ms ? (double)(at_ms - start_ms) / 1000 : -1;
}

/* ---- a row ---- */

struct row {
    int records;
    int64_t start_ms, status_ms, empty_ms; /* monotonic; 0: not yet */
    double start_cpu_s, cpu_s, each_ms, peak_mib;
};

static void watch(struct row *row, pid_t pid, const char *state)
{
    TEXT(status) = must_printf("%s/status.json", state);
    while (row->empty_ms == 0 && mono_ms() - row->start_ms < LIMIT_MS) {
        poll(NULL, 0, LOOK_MS);
        if (row->status_ms == 0 && access(status, F_OK) == 0)
            row->status_ms = mono_ms();
        if (row->start_cpu_s <= 0 && server.first_request_ms)
            row->start_cpu_s = cpu_seconds(pid);
        if (server.delivered >= row->records && backlog_count(state) == 0)
            row->empty_ms = mono_ms();
    }
    row->cpu_s = cpu_seconds(pid);
    row->each_ms = (row->cpu_s - row->start_cpu_s) * 1000 / row->records;
    row->peak_mib = peak_mib(pid);
}

static void print_row(const struct row *row, double rate)
{
    printf("%7d %5.0f %8.2f %8.2f %8.2f %8.2f %8.2f %9.2f %8.2f %9.3f %6.1f %5d %5d %8d\n",
           row->records, rate, since(row->start_ms, server.first_request_ms),
           since(row->start_ms, row->status_ms), since(row->start_ms, server.first_ms),
           since(row->start_ms, server.last_ms), since(row->start_ms, row->empty_ms),
           row->start_cpu_s, row->cpu_s, row->each_ms, row->peak_mib, server.connections,
           server.out_of_order, server.repeated);
    fflush(stdout);
}

static void reset_server(int records)
{
    for (int i = 0; i < RECORDS_MAX; i++)
        server.seen[i] = 0;
    server.connections = server.delivered = server.out_of_order = server.repeated = 0;
    server.first_request_ms = server.first_ms = server.last_ms = 0;
    server.records = records;
}

static void remove_directory(char *dir)
{
    char program[] = "rm", option[] = "-rf";
    char *const argv[] = {program, option, dir, NULL};
    pid_t pid;
    must(posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0);
    must(waitpid(pid, NULL, 0) == pid);
}

/* False: something was presented twice or out of order, or not everything was delivered. */
static bool run_row(const char *program, struct row *row, double rate, int port)
{
    const char *base = getenv("TMPDIR");
    TEXT(dir) = must_printf("%s/bench-backlog-XXXXXX", base ? base : P_tmpdir);
    must(mkdtemp(dir));
    TEXT(state) = must_printf("%s/agent", dir);
    must(mkdir(state, 0700) == 0);
    backlog_write(state, FIRST_JOB, row->records);
    sync();
    reset_server(row->records);
    row->start_ms = mono_ms();
    pid_t pid = start_agent(program, dir, rate, port);
    watch(row, pid, state);
    print_row(row, rate);
    kill(pid, SIGTERM);
    must(waitpid(pid, NULL, 0) == pid);
    remove_directory(dir);
    return row->empty_ms > 0 && server.repeated == 0 && (server.refuse || !server.out_of_order);
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: bench_backlog --agent PROGRAM --records N [--records N ...]\n"
                    "       [--rate R] [--refuse K]\n");
    exit(64);
}

struct arguments {
    const char *program;
    struct row rows[ROWS_MAX];
    int count;
    double rate;
};

static void parse(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {{"agent", required_argument, NULL, 'a'},
                                            {"records", required_argument, NULL, 'n'},
                                            {"rate", required_argument, NULL, 'r'},
                                            {"refuse", required_argument, NULL, 'k'},
                                            {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'a')
            arguments->program = optarg;
        else if (option == 'n' && arguments->count < ROWS_MAX)
            arguments->rows[arguments->count++].records = (int)strtol(optarg, NULL, 10);
        else if (option == 'r')
            arguments->rate = strtod(optarg, NULL);
        else if (option == 'k')
            server.refuse = (int)strtol(optarg, NULL, 10);
        else
            usage();
    }
    if (!arguments->program || arguments->count == 0 || optind != argc)
        usage();
}

int main(int argc, char **argv)
{
    static struct arguments arguments = {.rate = 1000};
    parse(argc, argv, &arguments);
    signal(SIGPIPE, SIG_IGN);
    pthread_t thread;
    int port = listen_somewhere();
    bool is_well = true;
    must(pthread_create(&thread, NULL, serve, NULL) == 0);
    printf("records  rate  request   status    first     last    empty start CPU      CPU "
           "ms/record    MiB conns order repeated\n");
    for (int i = 0; i < arguments.count; i++)
        is_well = run_row(arguments.program, &arguments.rows[i], arguments.rate, port) && is_well;
    const struct row *first = &arguments.rows[0], *last = &arguments.rows[arguments.count - 1];
    return is_well && last->each_ms <= GROWTH_MAX * first->each_ms ? 0 : 1;
}
