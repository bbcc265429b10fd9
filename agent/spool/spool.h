/* spool: the directory of records, and what became of those that left it.
 *    state_dir/agent.lock            one agent per spool
 *    state_dir/spool/<job>.<n>/      live records (record.h), n counts up per job
 *    state_dir/kept/<job>.<n>/       finished work whose job another worker has claimed
 *    state_dir/quarantine/<job>.<n>/ what needs a person: corrupt records, refused completions
 *    state_dir/orders/               control files of the node (control_file.h)
 *    state_dir/status.json           what only the running agent knows, published by rename
 * A foreign file in the spool is left alone and reported; a corrupt record is quarantined; neither
 * stops the agent (known mistake 20). Everything is 0700/0600. */
#ifndef AGENT_SPOOL_H
#define AGENT_SPOOL_H

#include "agent/spool/record.h"
#include "lib/durable.h"

enum { SPOOL_ID_BYTES = 48, SPOOL_RECORDS_MAX = 16384 };

struct spool {
    int state_dir, live, retained, quarantine; /* directory descriptors */
    int controls;                              /* -1: does not exist yet */
    int lock;                                  /* -1: opened read-only */
};
#define SPOOL_INIT                                                                                 \
    {                                                                                              \
        .state_dir = -1, .live = -1, .retained = -1, .quarantine = -1, .controls = -1, .lock = -1  \
    }

enum spool_mode { SPOOL_READ, SPOOL_OWN };

/* SPOOL_OWN creates what is missing, verifies that it can write, takes agent.lock (already held: an
 * error that names the PID) and removes temporary files. SPOOL_READ changes nothing. */
int spool_open(const char *path, enum spool_mode mode, struct spool *spool, struct error *err);
void spool_close(struct spool *spool);
/* The directory of control files; created if an older agent has not. */
int spool_need_controls(struct spool *spool, struct error *err);
/* Is an agent using it? Returns its PID if it could be read; otherwise 0. */
bool spool_is_owned(const struct spool *spool, pid_t *pid);

/* Crash-atomic: the whole record exists, or nothing. id receives "<job>.<n>". */
int spool_add(const struct spool *spool, const struct record_claim *claim, char id[SPOOL_ID_BYTES],
              struct error *err);

/* A record's ID and its job ID. */
struct spool_entry {
    char id[SPOOL_ID_BYTES];
    int64_t job_id;
};
/* The records of a directory (spool->live, ...) by job and number, the order in which the server
 * assigned them; *entries is owned. Foreign names are counted in *foreign (may be NULL). */
int spool_list(int directory, struct spool_entry **entries, size_t *count, size_t *foreign,
               struct error *err);
int spool_open_record(int directory, const char *id,
                      struct error *err); /* a directory descriptor */

/* problem: the code of the answer that ended it, which decides whether it may be taken back. */
int spool_retain(const struct spool *spool, const char *id, enum tailslate_problem problem,
                 const char *reason, struct error *err);
int spool_quarantine(const struct spool *spool, const char *id, const char *reason,
                     struct error *err);
/* The end of the commit order: first the outputs, while the record still says why; then the record,
 * in one rename, and the rest of its files. */
int spool_remove_outputs(const struct spool *spool, const char *id, struct error *err);
int spool_remove(const struct spool *spool, const char *id, struct error *err);
/* Only the rename, to a name that begins with SPOOL_REMOVED: the record is gone; the caller, or the
 * next start, deletes its files. */
#define SPOOL_REMOVED DURABLE_TEMP_PREFIX "removed-"
enum { SPOOL_NAME_BYTES = SPOOL_ID_BYTES + 32 };
int spool_take_away_retained(const struct spool *spool, const char *id, struct error *err);

/* Retained work whose job was claimed again: bound to the new claim, and a live record again. */
int spool_take_back(const struct spool *spool, const char *id, const struct record_claim *claim,
                    struct error *err);

/* Why it was moved away, "" if that was not recorded. */
enum { SPOOL_REASON_BYTES = 512 };
/* Why a live record is on hold, as reason.json; best effort. */
void spool_note_reason(const struct spool *spool, const char *id, const char *reason);
void spool_read_reason(int directory, const char *id, char reason[SPOOL_REASON_BYTES]);
/* The code beside it. */
enum tailslate_problem spool_read_problem(int directory, const char *id);

bool spool_is_id(const char *text, int64_t *job_id); /* "<job>.<n>" */

#endif
