#include "context.h"
#include "table.h"
#include "verbs.h"

#include "tailslate/cleanup.h"
#include "tailslate/durable.h"
#include "tailslate/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder that the path names, and the name in it. */
static int open_folder_of(const char *path, const char **name, struct error *err)
{
    const char *slash = strrchr(path, '/');
    TEXT(folder) = slash == path ? must_strdup("/")
                   : slash       ? must_printf("%.*s", (int)(slash - path), path)
                                 : must_strdup(".");
    *name = slash ? slash + 1 : path;
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? error_errno(err, "--key-file %s", path) : dir;
}

/* Before a worker is made whose key would then be lost. What is there may be the key of another
 * worker, so only an empty file (mktemp) is replaced. */
static int probe_key_file(const char *path, struct error *err)
{
    const char *name;
    struct stat status;
    FD(dir) = open_folder_of(path, &name, err);
    if (dir < 0)
        return -1;
    if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_errno(err, "--key-file %s", path);
    if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : error_errno(err, "--key-file %s", path);
    if (!S_ISREG(status.st_mode) || status.st_size > 0)
        return error_set(err, ERROR_PERMANENT, EEXIST,
                         "--key-file %s exists: remove it first, or name another file", path);
    return 0;
}

/* Whole and durable, mode 0600. */
static int write_key_file(const char *path, const char *key, struct error *err)
{
    const char *name;
    FD(dir) = open_folder_of(path, &name, err);
    if (dir < 0)
        return -1;
    TEXT(line) = must_printf("%s\n", key);
    int result = durable_write(dir, name, line, strlen(line), err);
    explicit_bzero(line, strlen(line));
    return result == 0 ? 0 : error_wrap(err, "--key-file");
}

/* A key that nobody has is of no use to anybody. */
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

static void say(const struct store_registration *registration, const char *key_file)
{
    printf("%lld\n", (long long)registration->id);
    if (!key_file)
        printf("%s\n", registration->api_key);
    fprintf(stderr, "worker %s is registered%s%s\n", registration->worker_id,
            key_file ? "; its key is in " : "; its key is the second line of the output",
            key_file ? key_file : "");
}

int verb_worker_add(struct context *context, const struct command *command, struct error *err)
{
    enum { NAME_MAX_BYTES = 100 };
    struct store_registration registration = {.name = command->words[2], .type = "remote"};
    if (registration.name[0] == '\0' || strlen(registration.name) > NAME_MAX_BYTES)
        return error_set(err, ERROR_PERMANENT, EINVAL, "a worker's name has 1 to %d bytes",
                         NAME_MAX_BYTES);
    if (command->key_file && probe_key_file(command->key_file, err) != 0)
        return -1;
    if (store_worker_register(context->store, &registration, err) != 0)
        return -1;
    int result = 0;
    if (command->key_file && write_key_file(command->key_file, registration.api_key, err) != 0)
        result = undo(context, &registration, err);
    else
        say(&registration, command->key_file);
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
    struct table *table = table_new(titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; i < count; i++) {
        char id[24], job[24] = "", heard[20];
        snprintf(id, sizeof id, "%lld", (long long)workers[i].id);
        if (workers[i].current_job_id)
            snprintf(job, sizeof job, "%lld", (long long)workers[i].current_job_id);
        snprintf(heard, sizeof heard, "%.19s", workers[i].last_heartbeat);
        table_row(table, (const char *const[]){id, workers[i].name, workers[i].status, job, heard,
                                               workers[i].worker_id});
    }
    table_print(table, stdout);
    table_free(table);
}

int verb_worker_list(struct context *context, const struct command *command, struct error *err)
{
    struct store_worker *workers;
    size_t count;
    int result = store_worker_list(context->store, &workers, &count, err);
    if (result == 0)
        command->json ? print_json(workers, count) : print_table(workers, count);
    store_workers_free(workers, count);
    return result;
}

int verb_worker_revoke(struct context *context, const struct command *command, struct error *err)
{
    bool found;
    if (store_worker_revoke(context->store, command->words[2], &found, err) != 0)
        return -1;
    if (!found)
        return error_set(err, ERROR_PERMANENT, ENOENT, "there is no worker %s", command->words[2]);
    fprintf(stderr, "worker %s is disabled and its keys are revoked\n", command->words[2]);
    return 0;
}
