/* record: one claim's directory in the spool, and the order law.
 *
 * The only interface between agent, step and courier. Every file in it is written whole by
 * `durable`; which files are there is the state (job.h). Format: docs/SPOOL.md. The functions that
 * commit an event check it against job.h's table and log nothing; they are called by the process
 * whose turn it is (job_need): the step while it holds the lock, the agent otherwise.
 *
 *   claim + token -> transcoder started; outcome -> upload; sealed bytes -> first POST;
 *   acknowledgement -> clean-up -> directory removed.
 *
 * Refuses: files of a wrong form (err PERMANENT: the caller quarantines the record). */
#ifndef AGENT_RECORD_H
#define AGENT_RECORD_H

#include "agent/spool/job.h"
#include "base/message.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RECORD_OUTPUT "output" /* the renditions, as they lie on the server */
#define RECORD_LOG    "transcoder.log"

enum { RECORD_FILE_MAX_BYTES = 512 * 1024 };

struct record_claim { /* claim.json */
    struct message_claim claim;
    char token[TAILSLATE_TOKEN_BYTES];
    int64_t claimed_at_us; /* wall clock */
};

struct record_outcome {                     /* outcome.json: transcoded and checked */
    struct tailslate_completion completion; /* all but the token */
    int64_t transcode_ms;
};

/* Who runs: boot id + pid + start time; a pid alone names an innocent process after reuse. */
struct process_identity {
    char boot_id[40];
    pid_t pid;
    uint64_t start_ticks; /* field 22 of /proc/<pid>/stat */
};

int record_state(int dir, enum job_state *state, struct error *err);

/* What a server gave, as of now, with a new token of its own: one per claim, made here alone. */
void record_claim_accept(const struct message_claim *given, struct record_claim *claim);
int record_read_claim(int dir, struct record_claim *claim, struct error *err);
int record_read_outcome(int dir, struct record_outcome *outcome, struct error *err);

/* Of the same job, and of the same film: a server that was restored, or replaced by another, gives
 * the number of a job to a film that is not the one whose work we hold. */
bool record_is_same_film(const struct message_claim *a, const struct message_claim *b);

/* Of a directory that is not in the spool yet (spool_add) or by record_rebind. */
int record_write_claim(int dir, const struct record_claim *claim, struct error *err);

/* The commits. */
int record_commit_outcome(int dir, const struct record_outcome *outcome, struct error *err);
/* Makes the body from outcome.json and the claim's token, and writes exactly these bytes. */
int record_seal_completion(int dir, struct error *err);
int record_seal_failure(int dir, const struct message_failure *failure, struct error *err);
int record_mark_missing(int dir, tailslate_quality_set missing, struct error *err);
int record_clear_missing(int dir, struct error *err);
int record_mark_lost(int dir, enum tailslate_problem why, const char *detail, struct error *err);
int record_acknowledge(int dir, const char *answer, size_t size, struct error *err);
/* A new claim of this job: new token (made by the caller), epoch and times; re-seals a completion.
 * -1 with code EBUSY where the record's state takes no new claim, ENOTUNIQ where it is about
 * another film: what is here must not be presented for that one. */
int record_rebind(int dir, const struct record_claim *claim, struct error *err);

/* Finished work that was kept when its claim went, under a new claim of the same job: it begins
 * again where it stood. Only of a record that nobody works on; -1 with code EBUSY where there is no
 * finished work. */
int record_take_back(int dir, const struct record_claim *claim, struct error *err);

/* The sealed bytes, exactly as they are to be posted (owned). is_failure: it goes to /fail. A
 * completion whose token is not the claim's (a re-binding was cut short) is sealed anew first. */
int record_read_sealed(int dir, char **body, size_t *size, bool *is_failure, struct error *err);
/* What the sealed completion says, without its token: for a server whose cache has the token. */
int record_read_tokenless(int dir, char **body, struct error *err);
/* As record_read_sealed, without sealing anything anew: do they parse, and are they of this job? */
int record_check_sealed(int dir, struct error *err);
int record_read_missing(int dir, tailslate_quality_set *missing, struct error *err);
int record_read_lost(int dir, enum tailslate_problem *why, char detail[256], struct error *err);
int record_read_acknowledgement(int dir, char **answer, size_t *size, struct error *err);

/* Who works on it. `name` is "step" or "transcoder". Absent file: -1, code ENOENT. */
int record_write_identity(int dir, const char *name, pid_t pid, struct error *err);
int record_read_identity(int dir, const char *name, struct process_identity *identity,
                         struct error *err);
/* A pidfd of that very process, or -1 where it is no longer there. */
int process_identity_open(const struct process_identity *identity);
/* Is it alive, and not stopped? */
bool process_identity_moves(const struct process_identity *identity);
/* Is it alive? Then SIGKILL its process group, through the pidfd first. */
void process_identity_kill_group(const struct process_identity *identity);

/* The lock that a step holds as long as it lives. -1 with code EWOULDBLOCK: somebody else does.
 * An OFD lock, so that record_is_locked can ask without taking it for a moment. */
int record_lock(int dir, struct error *err); /* the descriptor, CLOEXEC */
bool record_is_locked(int dir);

/* Beside the state: what the step waits for (space on this disk, in bytes; 0: nothing any more),
 * and that a failure was this node's and not the film's. Best effort: losing one costs a glance. */
#define RECORD_WAITING "waiting.json"
void record_note_waiting(int dir, int64_t need_bytes);
bool record_is_waiting(int dir);
void record_note_fault(int dir, const char *reason);
bool record_is_fault(int dir);
void record_read_fault(int dir, char reason[256]); /* "" where it cannot be read */

/* Since when the courier waits before it presents the completion past a stock server's cache.
 * False: it does not, or that was about another token. */
void record_note_silence(int dir, const char *token, int64_t since_us);
bool record_read_silence(int dir, const char *token, int64_t *since_us);

/* That the server refuses this job's finished work, since when and last when, and why. The first
 * time stands over restarts, until it is forgotten: when a file of it is accepted, or an operator
 * orders it to be tried again. In a time to come, it begins anew. */
#define RECORD_REFUSED "refused.json"
struct record_refusal {
    int64_t since_us, at_us;
    char reason[256];
};
void record_note_refusal(int dir, const char *reason, struct record_refusal *noted);
bool record_read_refusal(int dir, struct record_refusal *refusal); /* false: there is none */
void record_forget_refusal(int dir);

/* What the step is doing, for people and for status; volatile: losing it costs a glance. */
struct record_progress {
    struct message_progress progress;
    double speed;        /* seconds of film per second; 0 unknown */
    int64_t eta_seconds; /* TAILSLATE_ABSENT_INT */
    int64_t updated_at_us;
};
int record_write_progress(int dir, const struct record_progress *progress, struct error *err);
int record_read_progress(int dir, struct record_progress *progress, struct error *err);

#endif
