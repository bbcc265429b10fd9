/* job: the life of one job on the node, as a pure table. No clock, descriptor or log.
 *
 * The state of a record depends only on which files are in its directory (job_state_of). Each event
 * is one durable commit in record.c; job_next says which may happen in which state. An empty cell
 * is JOB_WRONG: record.c aborts there, because, for example, a failure after a sealed success would
 * break P3 ("once a success is sealed only success may be sent"). */
#ifndef AGENT_JOB_H
#define AGENT_JOB_H

enum job_state {
    JOB_WRONG,        /* no such state: an event that must not happen, or an invalid set of files */
    JOB_CLAIMED,      /* claim and token on disk */
    JOB_TRANSCODED,   /* the outcome is on disk: transcoded and checked */
    JOB_SEALED,       /* the completion's bytes are on disk */
    JOB_REOPENED,     /* sealed, but the server lacks output: upload it again, then present again */
    JOB_FAILED,       /* the failure report's bytes are on disk */
    JOB_LOST,         /* the claim was lost, or the job is gone, before anything was sealed */
    JOB_ACKNOWLEDGED, /* the server's acknowledgment is on disk */
    JOB_STATE_COUNT,
};

enum job_event {
    JOB_OUTCOME_RECORDED,
    JOB_COMPLETION_SEALED,
    JOB_FAILURE_SEALED,
    JOB_OUTPUT_MISSING,
    JOB_UPLOADED_AGAIN,
    JOB_CLAIM_GONE,
    JOB_ACKNOWLEDGMENT_RECORDED,
    JOB_REBOUND, /* a new claim on the same job: new token, the work is kept */
    JOB_EVENT_COUNT,
};

/* Which files are in the directory; bit 1u << file. */
enum job_file {
    JOB_FILE_CLAIM,           /* claim.json */
    JOB_FILE_OUTCOME,         /* outcome.json */
    JOB_FILE_COMPLETION,      /* completion.json */
    JOB_FILE_MISSING,         /* missing.json */
    JOB_FILE_FAILURE,         /* failure.json */
    JOB_FILE_LOST,            /* lost.json */
    JOB_FILE_ACKNOWLEDGEMENT, /* acknowledgement.json */
    JOB_FILE_COUNT,
};

/* Who acts on a record in this state. */
enum job_need { JOB_NEEDS_NOBODY, JOB_NEEDS_STEP, JOB_NEEDS_COURIER, JOB_NEEDS_CLEANUP };

enum job_state job_state_of(unsigned files);
enum job_state job_next(enum job_state state, enum job_event event);
enum job_need job_need(enum job_state state);
const char *job_state_name(enum job_state state); /* "sealed" */
const char *job_event_name(enum job_event event);

/* Does the job occupy a slot (its transcode is still to do)? Only in JOB_CLAIMED. */
int job_holds_slot(enum job_state state);

#endif
