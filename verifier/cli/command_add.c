#include "verifier/cli/command_add.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "verifier/base/number.h"
#include "verifier/base/slug.h"
#include "verifier/cli/add_progress.h"
#include "verifier/cli/command_job.h"
#include "verifier/files/files_source.h"
#include "verifier/store/store_operator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct batch {
    struct context *context;
    const struct command *command;
    int64_t priority;
    int64_t settled_s; /* leave what has changed within so many seconds; 0: take all */
    bool is_single;    /* what is refused is then the error of all */
    int added, refused;
};

/* ---- one file -------------------------------------------------------------------------------- */

struct adding {
    struct files *files;
    const char *extension;
    struct files_incoming incoming;
};

static int place(void *ctx, int64_t video_id, struct error *err)
{
    struct adding *adding = ctx;
    if (files_place_source(adding->files, adding->incoming.temp, video_id, adding->extension,
                           err) != 0)
        return -1;
    adding->incoming.temp[0] = '\0';
    return 0;
}

static int open_source(const char *path, struct stat *status, struct error *err)
{
    /* O_NONBLOCK: a pipe is refused, not waited for. */
    FD(fd) = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        error_errno(err, "%s", path);
        err->class = ERROR_PERMANENT;
        err->code = ENOENT;
        return -1;
    }
    if (fstat(fd, status) != 0 || !S_ISREG(status->st_mode))
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s is not a regular file%s", path,
                         S_ISDIR(status->st_mode) ? ": name a directory alone" : "");
    if (status->st_size == 0)
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s is empty", path);
    return steal_fd(&fd);
}

/* The name without its directory and extension; it may be invalid UTF-8. */
static char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return must_printf("%.*s", (int)(dot ? dot - name : (long)strlen(name)), name);
}

/* By both times: a copy may bring an old time of modification with it. */
static bool is_settled(const struct batch *batch, const struct stat *status)
{
    int64_t changed = status->st_mtim.tv_sec > status->st_ctim.tv_sec ? status->st_mtim.tv_sec
                                                                      : status->st_ctim.tv_sec;
    return batch->settled_s == 0 || wall_us() / 1000000 - changed >= batch->settled_s;
}

/* What is wrong with this one file is the operator's input, not the configuration. */
static void refuse_source(const char *path, struct error *err)
{
    if (err->class == ERROR_PERMANENT)
        err->code = EINVAL;
    error_wrap(err, "%s", path);
}

static void announce(const struct store_new_job *job)
{
    printf("%lld\n", (long long)job->job_id);
    fflush(stdout);
    fprintf(stderr, "job %lld, video %lld, slug %s\n", (long long)job->job_id,
            (long long)job->video_id, job->chosen_slug);
}

/* The copy is durable before the job exists: a partial copy never becomes a job. */
static int take_in(const struct batch *batch, const char *path, int from, int64_t size,
                   struct error *err)
{
    struct files *files = &batch->context->files;
    struct add_progress progress;
    struct adding adding = {.files = files,
                            .extension = files_source_extension(path),
                            .incoming = {.from = from,
                                         .link = batch->command->link,
                                         .progress = add_progress_show,
                                         .ctx = &progress}};
    TEXT(base) = base_of(path);
    struct store_new_job job = {.slug = batch->command->slug,
                                .title = batch->command->title,
                                .base = base,
                                .priority = batch->priority,
                                .place = place,
                                .ctx = &adding};
    add_progress_begin(&progress, path, size);
    int result = files_take_in(files, &adding.incoming, err);
    add_progress_end(&progress);
    if (result == 0)
        result = store_job_add(batch->context->store, &job, err);
    else
        refuse_source(path, err);
    files_drop_source(files, adding.incoming.temp);
    if (result == 0)
        announce(&job);
    return result;
}

/* After the commit: what dies in between leaves the file, which is then added twice, not never. A
 * file that has taken its name since then was not added, and stays. */
static void remove_added(const char *path, const struct stat *added)
{
    struct stat now;
    if (lstat(path, &now) == 0 && (now.st_dev != added->st_dev || now.st_ino != added->st_ino))
        fprintf(stderr, "warning: %s was replaced while it was added, and is kept\n", path);
    else if (unlink(path) != 0)
        fprintf(stderr, "warning: %s was added but cannot be removed: %s\n", path, strerror(errno));
}

static int add_file(struct batch *batch, const char *path, struct error *err)
{
    struct stat status;
    FD(from) = open_source(path, &status, err);
    if (from < 0)
        return -1;
    if (!files_source_extension(path))
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s: the file name must end in one of%s",
                         path, FILES_SOURCE_EXTENSIONS);
    if (!is_settled(batch, &status))
        return 0;
    if (take_in(batch, path, from, status.st_size, err) != 0)
        return -1;
    batch->added++;
    if (batch->command->remove)
        remove_added(path, &status);
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* -1: no other file would do better. */
static int add_next(struct batch *batch, const char *path, struct error *err)
{
    if (add_file(batch, path, err) == 0)
        return 0;
    if (batch->is_single || err->class != ERROR_PERMANENT)
        return -1;
    batch->refused++;
    command_failed(err);
    return 0;
}

struct names {
    char **at;
    size_t count;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->at[i]);
    free(names->at);
}

static int note_name(void *ctx, int dir, const char *name, struct error *err)
{
    struct names *names = ctx;
    struct stat status;
    if (name[0] == '.' || !files_source_extension(name) || fstatat(dir, name, &status, 0) != 0 ||
        !S_ISREG(status.st_mode))
        return 0;
    if (names->count == ADD_FILES_MAX)
        return error_set(err, ERROR_PERMANENT, EFBIG, "more than %d files", ADD_FILES_MAX);
    names->at = must_realloc(names->at, (names->count + 1) * sizeof *names->at);
    names->at[names->count++] = must_strdup(name);
    return 0;
}

static int by_name(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static int add_directory(struct batch *batch, const char *path, struct error *err)
{
    CLEANUP(names_free) struct names names = {0};
    FD(dir) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_errno(err, "%s", path);
    if (files_for_each(dir, note_name, &names, err) != 0)
        return error_wrap(err, "%s", path);
    if (names.count == 0 && batch->settled_s == 0)
        return error_set(err, ERROR_PERMANENT, ENOENT, "%s has no videos (names that end in%s)",
                         path, FILES_SOURCE_EXTENSIONS);
    if (names.count > 0)
        qsort(names.at, names.count, sizeof *names.at, by_name);
    batch->is_single = false;
    for (size_t i = 0; i < names.count; i++) {
        TEXT(file) = must_printf("%s/%s", path, names.at[i]);
        if (add_next(batch, file, err) != 0)
            return -1;
    }
    return 0;
}

static int check_options(struct batch *batch, bool is_one, struct error *err)
{
    const struct command *command = batch->command;
    if (!is_one && (command->slug || command->title))
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "--slug and --title: only for a single file");
    if (command->slug && (!slug_is_valid(command->slug) || strlen(command->slug) > SLUG_MAX_LENGTH))
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "--slug %s: must be letters, digits, dashes, underscores and dots, at "
                         "most %d of them, and not begin with a dash or dot",
                         command->slug, SLUG_MAX_LENGTH);
    if (command->title && strlen(command->title) >= STORE_TITLE_BYTES)
        return error_set(err, ERROR_PERMANENT, EINVAL, "--title: must be at most %d bytes",
                         STORE_TITLE_BYTES - 1);
    if (command->settled && !number_parse(command->settled, &batch->settled_s))
        return error_set(err, ERROR_PERMANENT, EINVAL, "--settled: '%s' is not a number of seconds",
                         command->settled);
    return 0;
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int command_job_add(struct context *context, const struct command *command, struct error *err)
{
    const struct cli_line *line = &command->line;
    struct batch batch = {
        .context = context, .command = command, .is_single = line->argument_count == 1};
    bool whole_directory = line->argument_count == 1 && is_directory(line->argument);
    if (store_job_may_be_added(context->store, err) != 0 ||
        command_parse_priority(command, &batch.priority, err) != 0 ||
        check_options(&batch, line->argument_count == 1 && !whole_directory, err) != 0)
        return -1;
    if (whole_directory && add_directory(&batch, line->argument, err) != 0)
        return -1;
    for (int i = 0; !whole_directory && i < line->argument_count; i++)
        if (add_next(&batch, line->arguments[i], err) != 0)
            return -1;
    if (batch.refused == 0)
        return 0;
    return error_set(err, ERROR_PERMANENT, EINVAL, "%d added, %d refused", batch.added,
                     batch.refused);
}
