/* record: one claim's directory in the spool, and the commit order.
 *
 * The only interface between agent, step and courier. Every file is written completely by
 * `durable`; which files exist is the state (job.h). Format: docs/SPOOL.md. The functions that
 * commit an event check it against job.h's table and log nothing. They are called by the process
 * responsible for the state (job_need): the step while it holds the lock, otherwise the agent.
 *    claim + token -> transcoder started; outcome -> upload; sealed bytes -> first POST;
 *    acknowledgment -> clean-up -> directory removed.
 * Refuses malformed files (err PERMANENT: the caller quarantines the record). */
#ifndef AGENT_RECORD_H
#define AGENT_RECORD_H

#include "agent/spool/job.h"
#include "agent/spool/record_note.h"
#include "agent/spool/record_process.h"
#include "base/message.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RECORD_OUTPUT "output" /* the renditions, as they are laid out on the server */
#define RECORD_LOG    "transcoder.log"

enum { RECORD_FILE_MAX_BYTES = 512 * 1024 };

struct record_claim { /* claim.json */
    struct message_claim claim;
    char token[TAILSLATE_TOKEN_BYTES];
    int64_t claimed_at_us; /* wall clock */
};

struct record_outcome {                     /* outcome.json: transcoded and checked */
    struct tailslate_completion completion; /* everything but the token */
    int64_t transcode_ms;
};

int record_state(int dir, enum job_state *state, struct error *err);

/* Creates a claim from a server's answer, as of now, with a new token: one per claim, created only
 * here. */
void record_claim_accept(const struct message_claim *given, struct record_claim *claim);
int record_read_claim(int dir, struct record_claim *claim, struct error *err);
int record_read_outcome(int dir, struct record_outcome *outcome, struct error *err);

/* Is it a claim on the same job, and for the same video? A server that was restored or replaced may
 * use the same job ID for another video. */
bool record_is_same_video(const struct message_claim *a, const struct message_claim *b);

/* For a directory that is not in the spool yet (spool_add), or called by record_rebind. */
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
/* A new claim on this job: new token (made by the caller), epoch and times; seals a completion
 * again. -1 with code EBUSY if the record's state cannot take a new claim, ENOTUNIQ if it is for
 * another video, ESTALE if it is for another re-transcode: then this record must not be presented
 * for it. */
int record_rebind(int dir, const struct record_claim *claim, struct error *err);
/* Is this why it failed: the record is for something else and never takes this claim? */
bool record_is_for_another(const struct error *err);

/* Binds finished work that was retained after its claim was lost to a new claim on the same job: it
 * continues where it was. Only for a record that no process works on; -1 with code EBUSY if there
 * is no finished work. */
int record_take_back(int dir, const struct record_claim *claim, struct error *err);

/* The sealed bytes, exactly as they must be sent (owned). is_failure: they go to /fail. A
 * completion whose token is not the claim's (a rebind was interrupted) is first sealed again. */
int record_read_sealed(int dir, char **body, size_t *size, bool *is_failure, struct error *err);
/* The sealed completion without its token: for a server whose cache knows the token. */
int record_read_tokenless(int dir, char **body, struct error *err);
/* Like record_read_sealed, without sealing again: can the reports be parsed, and are they for this
 * job? */
int record_check_sealed(int dir, struct error *err);
int record_read_missing(int dir, tailslate_quality_set *missing, struct error *err);
int record_read_lost(int dir, enum tailslate_problem *why, char detail[256], struct error *err);
int record_read_acknowledgment(int dir, char **answer, size_t *size, struct error *err);

/* What somebody waits for. */
struct record_waiting {
    char reason[512]; /* "": it does not wait */
    int64_t since_us; /* 0: unknown */
    char hint[128];   /* what a person can do; "": nothing */
    int64_t next_us;  /* the next attempt; 0: unknown */
};

/* {"reason","since","next_attempt_at","hint"}, as `status --json` shows it too. */
struct json *record_format_waiting(const struct record_waiting *waiting);

/* What the step is doing, for status; not durable. */
struct record_progress {
    struct message_progress progress;
    double speed;        /* seconds of video per second; 0 = unknown */
    int64_t eta_seconds; /* TAILSLATE_ABSENT_INT */
    int64_t updated_at_us;
    struct record_waiting waiting;
};
int record_write_progress(int dir, const struct record_progress *progress, struct error *err);
int record_read_progress(int dir, struct record_progress *progress, struct error *err);

#endif
