#include "agent/spool/retained.h"

#include "agent/base/tree.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What was renamed but not deleted yet, by us or by an earlier run. */
static bool find_removed(int retained, char name[SPOOL_NAME_BYTES])
{
    DIRECTORY(list) = tree_list(retained);
    struct dirent *entry;
    if (!list)
        return false;
    while ((entry = tree_next(list))) {
        size_t length = strlen(entry->d_name);
        if (strncmp(entry->d_name, SPOOL_REMOVED, strlen(SPOOL_REMOVED)) == 0 &&
            length < SPOOL_NAME_BYTES) {
            memcpy(name, entry->d_name, length + 1);
            return true;
        }
    }
    return false;
}

/* By the time of its last change, which is when it was moved here. */
static bool find_oldest(const struct spool *spool, char id[SPOOL_ID_BYTES])
{
    struct spool_entry *entries = NULL;
    struct timespec oldest = {0};
    size_t count = 0;
    struct error ignored;
    bool is_found = false;
    if (spool_list(spool->retained, &entries, &count, NULL, &ignored) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct stat status;
        if (fstatat(spool->retained, entries[i].id, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bool is_older = status.st_mtim.tv_sec < oldest.tv_sec ||
                        (status.st_mtim.tv_sec == oldest.tv_sec &&
                         status.st_mtim.tv_nsec < oldest.tv_nsec);
        if (is_found && !is_older)
            continue;
        is_found = true;
        oldest = status.st_mtim;
        memcpy(id, entries[i].id, SPOOL_ID_BYTES);
    }
    free(entries);
    return is_found;
}

static bool take_away_oldest(const struct spool *spool)
{
    char id[SPOOL_ID_BYTES];
    struct error err;
    if (!find_oldest(spool, id))
        return false;
    if (spool_take_away_retained(spool, id, &err) != 0) {
        log_error("retained.not_removed", LOG_TEXT("record", id), LOG_TEXT("reason", err.message));
        return false;
    }
    log_warning("retained.removed", LOG_TEXT("record", id),
                LOG_TEXT("reason", "the disk is nearly full"));
    return true;
}

bool retained_free_space(const struct spool *spool)
{
    char name[SPOOL_NAME_BYTES];
    struct error err;
    unsigned budget = RETAINED_FILES_PER_TICK;
    if (!find_removed(spool->retained, name))
        return take_away_oldest(spool);
    if (tree_remove_some(spool->retained, name, &budget, &err) == 0)
        return true;
    log_error("retained.not_removed", LOG_TEXT("record", name), LOG_TEXT("reason", err.message));
    return false;
}
