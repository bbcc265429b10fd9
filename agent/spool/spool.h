/* spool: the directory of records, and what became of those that left it.
 *
 *   state_dir/agent.lock            one agent per spool
 *   state_dir/spool/<job>.<n>/      live records (record.h), n counts up per job
 *   state_dir/kept/<job>.<n>/       finished work that the server gave to somebody else
 *   state_dir/quarantine/<job>.<n>/ what needs a person: corrupt records, refused completions
 *   state_dir/orders/               what an operator has told the node (order.h)
 *   state_dir/status.json           what only the running agent knows, published by rename
 *
 * A foreign file in the spool is left alone and reported; a corrupt record is quarantined; neither
 * stops the agent (known mistake 20). Everything is 0700/0600. */
#ifndef AGENT_SPOOL_H
#define AGENT_SPOOL_H

#include "agent/spool/record.h"
#include "lib/durable.h"

enum { SPOOL_ID_BYTES = 48, SPOOL_RECORDS_MAX = 4096 };

struct spool {
    int state_dir, live, kept, quarantine; /* directory descriptors */
    int orders;                            /* -1: nobody has made it yet */
    int lock;                              /* -1: opened for reading only */
};
#define SPOOL_INIT                                                                                 \
    {                                                                                              \
        .state_dir = -1, .live = -1, .kept = -1, .quarantine = -1, .orders = -1, .lock = -1        \
    }

enum spool_mode { SPOOL_READ, SPOOL_OWN };

/* SPOOL_OWN makes what is missing, proves that it can write, takes agent.lock (held: PERMANENT
 * error naming the pid) and sweeps temp leftovers. SPOOL_READ changes nothing. */
int spool_open(const char *path, enum spool_mode mode, struct spool *spool, struct error *err);
void spool_close(struct spool *spool);
/* The room of the orders, made where an agent of before there were any has not. */
int spool_need_orders(struct spool *spool, struct error *err);
/* Does an agent work on it? Its pid, as far as it could write it down; else 0. */
bool spool_is_owned(const struct spool *spool, pid_t *pid);

/* Crash-atomic: the record is there whole or not at all. id gets "<job>.<n>". */
int spool_add(const struct spool *spool, const struct record_claim *claim, char id[SPOOL_ID_BYTES],
              struct error *err);

/* A record's id and the job id in it. */
struct spool_entry {
    char id[SPOOL_ID_BYTES];
    int64_t job_id;
};
/* The records of a room (spool->live, ...) by job and number, the order in which the server gave
 * them out; *entries is owned. Foreign names are counted in *foreign (may be NULL). */
int spool_list(int room, struct spool_entry **entries, size_t *count, size_t *foreign,
               struct error *err);
int spool_open_record(int room, const char *id, struct error *err); /* a directory descriptor */

int spool_keep(const struct spool *spool, const char *id, const char *reason, struct error *err);
int spool_quarantine(const struct spool *spool, const char *id, const char *reason,
                     struct error *err);
/* The order law's tail: first the outputs, with the record still saying why; then the record, in
 * one rename, and what is left of it. */
int spool_remove_outputs(const struct spool *spool, const char *id, struct error *err);
int spool_remove(const struct spool *spool, const char *id, struct error *err);
/* The rename alone, under a name that begins with SPOOL_REMOVED: the record is gone, its files are
 * the caller's to remove, or the next start's. */
#define SPOOL_REMOVED DURABLE_TEMP_PREFIX "removed-"
enum { SPOOL_NAME_BYTES = SPOOL_ID_BYTES + 32 };
int spool_take_away_kept(const struct spool *spool, const char *id, struct error *err);

/* Kept work whose job was claimed again: bound to the new claim, and a live record again. */
int spool_take_back(const struct spool *spool, const char *id, const struct record_claim *claim,
                    struct error *err);

/* Why it was set aside, "" where nobody wrote it down. */
enum { SPOOL_REASON_BYTES = 512 };
/* Why a live record is held, as reason.json; best effort. */
void spool_note_reason(const struct spool *spool, const char *id, const char *reason);
void spool_read_reason(int room, const char *id, char reason[SPOOL_REASON_BYTES]);

bool spool_is_id(const char *text, int64_t *job_id); /* "<job>.<n>" */

#endif
