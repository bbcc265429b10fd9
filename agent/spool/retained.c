#include "agent/spool/retained.h"

#include "agent/base/tree.h"
#include "base/log.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <stdlib.h>
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

static bool is_same_work(const struct record_claim *former, const struct record_claim *claim)
{
    int64_t age_us = claim->claimed_at_us - former->claimed_at_us;
    return record_is_same_video(&former->claim, &claim->claim) &&
           former->claim.retranscodes == claim->claim.retranscodes &&
           former->claim.claim_epoch <= claim->claim.claim_epoch &&
           strcmp(former->claim.source_filename, claim->claim.source_filename) == 0 &&
           former->claim.existing == claim->claim.existing &&
           age_us < RETAINED_TAKE_BACK_HOURS * INT64_C(3600) * 1000000;
}

/* Sealed work records in its reason why it is here, other work in lost.json. */
static bool was_claim_lost(const struct spool *spool, const char *id, int dir)
{
    enum job_state state;
    enum tailslate_problem why;
    char detail[256];
    struct error ignored;
    if (record_state(dir, &state, &ignored) != 0)
        return false;
    if (state == JOB_LOST)
        return record_read_lost(dir, &why, detail, &ignored) == 0 &&
               why == TAILSLATE_PROBLEM_CLAIM_LOST;
    return state == JOB_SEALED &&
           spool_read_problem(spool->retained, id) == TAILSLATE_PROBLEM_CLAIM_LOST;
}

/* If it has the token of this very claim, an earlier attempt was interrupted. */
static bool fits(const struct spool *spool, const char *id, const struct record_claim *claim)
{
    struct record_claim former;
    struct record_outcome outcome;
    struct error ignored;
    FD(dir) = spool_open_record(spool->retained, id, &ignored);
    return dir >= 0 && record_read_claim(dir, &former, &ignored) == 0 &&
           record_read_outcome(dir, &outcome, &ignored) == 0 && is_same_work(&former, claim) &&
           (strcmp(former.token, claim->token) == 0 || was_claim_lost(spool, id, dir));
}

bool retained_find(const struct spool *spool, const struct record_claim *claim,
                   char id[SPOOL_ID_BYTES])
{
    struct spool_entry *entries = NULL;
    struct error ignored;
    size_t count = 0;
    bool is_found = false;
    if (spool_list(spool->retained, &entries, &count, NULL, &ignored) != 0)
        return false;
    for (size_t i = count; i-- > 0 && !is_found;) {
        if (entries[i].job_id != claim->claim.job_id || !fits(spool, entries[i].id, claim))
            continue;
        memcpy(id, entries[i].id, SPOOL_ID_BYTES);
        is_found = true;
    }
    free(entries);
    return is_found;
}
