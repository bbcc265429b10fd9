#include "verifier/cli/command_worker.h"

#include "base/table.h"
#include "base/text.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/json.h"
#include "verifier/store/store_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens the directory of the path; *name: the last component. */
static int open_directory_of(const char *path, const char **name, struct error *err)
{
    const char *slash = strrchr(path, '/');
    TEXT(parent) = slash == path ? must_strdup("/")
                   : slash       ? must_printf("%.*s", (int)(slash - path), path)
                                 : must_strdup(".");
    *name = slash ? slash + 1 : path;
    int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? error_errno(err, "--key-file %s", path) : dir;
}

/* "-": the key alone goes to stdout, so that a pipe can install it. */
static bool is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

/* Before a key is made that could not be saved. An existing file may hold another worker's key, so
 * only an empty one (mktemp) is replaced. */
static int key_file_probe(const char *path, struct error *err)
{
    if (!path || is_stdout(path))
        return 0;
    const char *name;
    struct stat status;
    FD(dir) = open_directory_of(path, &name, err);
    if (dir < 0)
        return -1;
    if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_errno(err, "--key-file %s", path);
    if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : error_errno(err, "--key-file %s", path);
    if (!S_ISREG(status.st_mode) || status.st_size > 0)
        return error_set(err, ERROR_PERMANENT, EEXIST,
                         "--key-file %s already exists: remove it or name another file", path);
    return 0;
}

/* Whole and durable, mode 0600. */
static int key_file_write(const char *path, const char *key, struct error *err)
{
    if (!path || is_stdout(path))
        return 0;
    const char *name;
    FD(dir) = open_directory_of(path, &name, err);
    if (dir < 0)
        return -1;
    TEXT(line) = must_printf("%s\n", key);
    int result = durable_write(dir, name, line, strlen(line), err);
    explicit_bzero(line, strlen(line));
    return result == 0 ? 0 : error_wrap(err, "--key-file");
}

/* Prints the worker's number, and the key if it is not in a file (path NULL). */
static void print_key(int64_t id, const char *key, const char *path)
{
    if (!is_stdout(path))
        printf("%lld\n", (long long)id);
    if (!path || is_stdout(path))
        printf("%s\n", key);
}

/* Where print_key or key_file_write has put it. */
static const char *place_of_key(const char *path)
{
    return is_stdout(path) ? "on standard output" : path ? path : "the second line of the output";
}

/* Nobody has the key, so the worker is disabled again. */
static int undo(struct context *context, const struct store_registration *registration,
                struct error *err)
{
    bool found;
    struct error ignored;
    if (store_worker_revoke(context->store, registration->worker_id, &found, &ignored) == 0)
        return error_wrap(err, "worker %s is disabled again", registration->worker_id);
    return error_wrap(err, "worker %s has a key that was not written: revoke it",
                      registration->worker_id);
}

static void print_registered(const struct store_registration *registration, const char *key_file)
{
    print_key(registration->id, registration->api_key, key_file);
    fprintf(stderr, "worker %s (%s, ID %lld) is registered; its key is %s%s\n", registration->name,
            registration->worker_id, (long long)registration->id,
            key_file && !is_stdout(key_file) ? "in " : "", place_of_key(key_file));
}

int command_worker_add(struct context *context, const struct command *command, struct error *err)
{
    enum { NAME_MAX_BYTES = 100 };
    struct store_registration registration = {
        .name = command->line.argument, .type = "remote", .is_new_name = true};
    if (registration.name[0] == '\0' || strlen(registration.name) > NAME_MAX_BYTES)
        return error_set(err, ERROR_PERMANENT, EINVAL, "NAME: must be 1 to %d bytes",
                         NAME_MAX_BYTES);
    if (key_file_probe(command->key_file, err) != 0 ||
        store_worker_register(context->store, &registration, err) != 0)
        return -1;
    int result = 0;
    if (key_file_write(command->key_file, registration.api_key, err) != 0)
        result = undo(context, &registration, err);
    else
        print_registered(&registration, command->key_file);
    explicit_bzero(registration.api_key, sizeof registration.api_key);
    return result;
}

static void print_json(const struct store_worker *workers, size_t count)
{
    JSON(list) = json_new_array();
    for (size_t i = 0; i < count; i++)
        json_append(list, store_worker_json(&workers[i]));
    json_show(list, stdout);
}

static void print_table(const struct store_worker *workers, size_t count)
{
    static const char *const titles[] = {"ID",  "NAME",           "STATUS",
                                         "JOB", "LAST HEARTBEAT", "WORKER ID"};
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0], TABLE_CUT);
    for (size_t i = 0; i < count; i++) {
        char id[24], job[24] = "", heard[20];
        snprintf(id, sizeof id, "%lld", (long long)workers[i].id);
        if (workers[i].current_job_id)
            snprintf(job, sizeof job, "%lld", (long long)workers[i].current_job_id);
        snprintf(heard, sizeof heard, "%.19s", workers[i].last_heartbeat);
        table_row(table, (const char *const[]){id, workers[i].name, workers[i].status, job, heard,
                                               workers[i].worker_id});
    }
    table_print(table, text_columns(stdout), stdout);
    table_free(table);
}

int command_worker_list(struct context *context, const struct command *command, struct error *err)
{
    struct store_worker *workers;
    size_t count;
    int result = store_worker_list(context->store, &workers, &count, err);
    if (result == 0)
        command->json ? print_json(workers, count) : print_table(workers, count);
    store_workers_free(workers, count);
    return result;
}

static int no_such_worker(const char *worker, struct error *err)
{
    return error_set(err, ERROR_PERMANENT, ENOENT, "there is no worker %s", worker);
}

static int several_workers(const char *worker, struct error *err)
{
    return error_set(err, ERROR_PERMANENT, EINVAL,
                     "%s matches several workers: give the WORKER ID from `worker list`", worker);
}

static int find_worker(struct context *context, const char *worker,
                       struct store_found_worker *found, struct error *err)
{
    if (store_worker_find(context->store, worker, found, err) != 0)
        return -1;
    switch (found->result) {
    case STORE_FOUND:
        return 0;
    case STORE_FOUND_NONE:
        return no_such_worker(worker, err);
    case STORE_FOUND_SEVERAL:
        break;
    }
    return several_workers(worker, err);
}

static void warn_of_claims(const struct store_found_worker *found)
{
    if (found->claims)
        fprintf(
            stderr,
            "warning: it holds %lld job%s; each stays claimed until its claim expires, or until "
            "`job release`\n",
            (long long)found->claims, found->claims == 1 ? "" : "s");
}

int command_worker_revoke(struct context *context, const struct command *command, struct error *err)
{
    struct store_found_worker worker;
    bool found;
    if (find_worker(context, command->line.argument, &worker, err) != 0 ||
        store_worker_revoke(context->store, worker.worker_id, &found, err) != 0)
        return -1;
    if (!found)
        return no_such_worker(command->line.argument, err);
    fprintf(stderr, "worker %s (%s) is disabled and its keys are revoked\n", worker.name,
            worker.worker_id);
    warn_of_claims(&worker);
    return 0;
}

/* "90s", "30m", "24h", "7d" or 0. */
static int parse_overlap(const char *text, int64_t *overlap_ms, struct error *err)
{
    enum { SECOND_MS = 1000, DIGITS_MAX = 7, DAYS_MAX = 90 };
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', SECOND_MS},
                 {'m', 60 * SECOND_MS},
                 {'h', 3600 * SECOND_MS},
                 {'d', 24 * 3600 * (int64_t)SECOND_MS}};
    size_t digits = strspn(text, "0123456789");
    int64_t number = 0, max_ms = DAYS_MAX * units[3].ms;
    for (size_t i = 0; i < digits && digits <= DIGITS_MAX; i++)
        number = number * 10 + text[i] - '0';
    *overlap_ms = digits > 0 && strcmp(text, "0") == 0 ? 0 : -1;
    for (size_t i = 0; digits > 0 && digits <= DIGITS_MAX && i < sizeof units / sizeof *units; i++)
        if (text[digits] == units[i].letter && !text[digits + 1])
            *overlap_ms = number * units[i].ms;
    if (*overlap_ms >= 0 && *overlap_ms <= max_ms)
        return 0;
    return error_set(err, ERROR_PERMANENT, EINVAL,
                     "--overlap %s: must be a time like 90s, 30m, 24h or 7d, at most %d days", text,
                     DAYS_MAX);
}

static int refuse_rotation(const struct store_rotation *rotation, struct error *err)
{
    switch (rotation->result) {
    case STORE_ROTATED:
        return 0;
    case STORE_ROTATE_NO_WORKER:
        return no_such_worker(rotation->worker, err);
    case STORE_ROTATE_SEVERAL:
        return several_workers(rotation->worker, err);
    case STORE_ROTATE_DISABLED:
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "worker %s is disabled: register another one with `worker add`",
                         rotation->worker);
    }
    return error_set(err, ERROR_BUG, 0, "worker rotate");
}

/* The old keys stay valid for the overlap in any case, so a failed rotation can be repeated. */
int command_worker_rotate(struct context *context, const struct command *command, struct error *err)
{
    const char *file = command->key_file;
    struct store_rotation rotation = {.worker = command->line.argument};
    if (parse_overlap(command->overlap, &rotation.overlap_ms, err) != 0 ||
        key_file_probe(file, err) != 0 ||
        store_worker_rotate(context->store, &rotation, err) != 0 ||
        refuse_rotation(&rotation, err) != 0)
        return -1;
    int result = key_file_write(file, rotation.api_key, err);
    if (result == 0) {
        print_key(rotation.id, rotation.api_key, file);
        fprintf(stderr, "worker %s has a new key%s%s; its old keys are valid until %s\n",
                rotation.name, file && !is_stdout(file) ? " in " : ", ", place_of_key(file),
                rotation.old_until);
    }
    explicit_bzero(rotation.api_key, sizeof rotation.api_key);
    return result == 0 ? 0
                       : error_wrap(err, "the new key of worker %s is lost; rotate it again",
                                    rotation.name);
}
