#include "verifier/http/directories.h"

#include "base/clock.h"
#include "base/log.h"
#include "verifier/base/deadline.h"
#include "verifier/store/store_directories.h"

#include <stdlib.h>
#include <string.h>

struct directories {
    struct store *store;
    struct files *files;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool is_stopping;
    char told[FILES_ROOT_COUNT][FILES_REASON_BYTES]; /* what the log says; "": nothing is wrong */
};

struct bringing {
    const struct files *files;
    enum files_root root;
    bool again;
};

/* A marker that is there already is kept: written by a start that died before its commit, or by a
 * server whose database was replaced. Two databases that share one directory by mistake are told
 * apart when an operator adopts it for one of them. */
static int bring(void *ctx, char marker[TAILSLATE_UUID_BYTES], struct error *err)
{
    const struct bringing *bringing = ctx;
    char there[TAILSLATE_UUID_BYTES];
    if (files_watch_read(bringing->files, bringing->root, there, err) != 0)
        return -1;
    if (!there[0] || bringing->again)
        return files_watch_write(bringing->files, bringing->root, marker, err);
    memcpy(marker, there, sizeof there);
    return 0;
}

static int adopt(struct store *store, const struct files *files, enum files_root root, bool again,
                 struct error *err)
{
    struct bringing bringing = {files, root, again};
    struct store_adoption adoption = {
        .name = files_root_name(root), .again = again, .bring = bring, .ctx = &bringing};
    bool was_empty = files_watch_is_empty(files, root);
    if (store_directory_adopt(store, &adoption, err) != 0)
        return -1;
    files_watch_expect(files, root, adoption.marker);
    if (adoption.adopted && was_empty && adoption.jobs > 0)
        log_warning("directory.adopted_empty", LOG_TEXT("directory", files_root_name(root)),
                    LOG_INT("jobs", adoption.jobs),
                    LOG_TEXT("reason", "there are jobs, but the directory is empty: is the share "
                                       "mounted?"));
    else if (adoption.adopted)
        log_debug("directory.adopted", LOG_TEXT("directory", files_root_name(root)),
                  LOG_TEXT("marker", adoption.marker));
    return 0;
}

static int expect(struct store *store, const struct files *files, enum files_root root,
                  struct error *err)
{
    char marker[TAILSLATE_UUID_BYTES];
    if (store_directory_marker(store, files_root_name(root), marker, err) != 0)
        return -1;
    if (!marker[0])
        return adopt(store, files, root, false, err);
    files_watch_expect(files, root, marker);
    return 0;
}

/* Only what is away is asked about: the database may know another marker by now. Without a database
 * what it said last stands. */
static bool ask_about_away(struct store *store, const struct files *files)
{
    bool is_asked = false;
    struct error err;
    for (enum files_root root = 0; root < FILES_ROOT_COUNT; root++) {
        if (files_use(files, root, &err) >= 0)
            continue;
        is_asked = true;
        if (expect(store, files, root, &err) != 0)
            log_debug("directory.not_compared", LOG_TEXT("directory", files_root_name(root)),
                      LOG_TEXT("reason", err.message));
    }
    return is_asked;
}

void directories_check(struct store *store, struct files *files)
{
    files_watch_require(files);
    ask_about_away(store, files);
    files_watch_check(files);
    if (ask_about_away(store, files))
        files_watch_check(files);
}

void directories_compare(struct store *store, struct files *files)
{
    files_watch_require(files);
    for (enum files_root root = 0; root < FILES_ROOT_COUNT; root++) {
        char marker[TAILSLATE_UUID_BYTES];
        struct error ignored; /* it is said that the directory was not compared */
        if (store_directory_marker(store, files_root_name(root), marker, &ignored) == 0)
            files_watch_expect(files, root, marker);
    }
    files_watch_check(files);
}

int directories_adopt(struct store *store, struct files *files, struct error *err)
{
    for (enum files_root root = 0; root < FILES_ROOT_COUNT; root++)
        if (adopt(store, files, root, true, err) != 0)
            return -1;
    files_watch_check(files);
    return 0;
}

/* Here, and not where it is found, so that it is said once and by the server alone. */
static void tell_changes(struct directories *directories)
{
    for (enum files_root root = 0; root < FILES_ROOT_COUNT; root++) {
        char reason[FILES_REASON_BYTES];
        bool is_problem = files_root_problem(directories->files, root, reason);
        if (strcmp(reason, directories->told[root]) == 0)
            continue;
        memcpy(directories->told[root], reason, sizeof reason);
        if (is_problem)
            log_warning("directory.problem", LOG_TEXT("directory", files_root_name(root)),
                        LOG_TEXT("reason", reason));
        else
            log_info("directory.usable", LOG_TEXT("directory", files_root_name(root)));
    }
}

static void *run(void *ctx)
{
    struct directories *directories = ctx;
    tell_changes(directories); /* what the start has found */
    pthread_mutex_lock(&directories->lock);
    while (!directories->is_stopping) {
        int64_t until_ms = mono_ms() + FILES_CHECK_MS;
        while (!directories->is_stopping &&
               deadline_wait(&directories->stopped, &directories->lock, until_ms))
            ;
        if (directories->is_stopping)
            break;
        pthread_mutex_unlock(&directories->lock);
        directories_check(directories->store, directories->files);
        tell_changes(directories);
        pthread_mutex_lock(&directories->lock);
    }
    pthread_mutex_unlock(&directories->lock);
    return NULL;
}

struct directories *directories_start(struct store *store, struct files *files)
{
    struct directories *directories = must_calloc(1, sizeof *directories);
    directories->store = store;
    directories->files = files;
    must(pthread_mutex_init(&directories->lock, NULL) == 0);
    must(pthread_cond_init(&directories->stopped, NULL) == 0);
    must(pthread_create(&directories->thread, NULL, run, directories) == 0);
    return directories;
}

bool directories_stop(struct directories *directories)
{
    int64_t until_ms = mono_ms() + DIRECTORIES_STOP_MS;
    pthread_mutex_lock(&directories->lock);
    directories->is_stopping = true;
    pthread_cond_signal(&directories->stopped);
    pthread_mutex_unlock(&directories->lock);
    if (!deadline_join(directories->thread, until_ms))
        return false;
    pthread_cond_destroy(&directories->stopped);
    pthread_mutex_destroy(&directories->lock);
    free(directories);
    return true;
}
