/* job: the life of one job on the node, as a pure table. No clock, descriptor or log.
 *
 * The state of a record is a function of which files are in its directory (job_state_of): levels,
 * not edges. Each event is one durable commit of record.c; job_next says which may happen in which
 * state. An empty cell is JOB_WRONG: record.c aborts there, because e.g. a failure after a sealed
 * success would break P3 ("once a success is sealed only success may be sent"). */
#ifndef AGENT_JOB_H
#define AGENT_JOB_H

enum job_state {
    JOB_WRONG,      /* no such state: an event that must not happen, or files that make no sense */
    JOB_CLAIMED,    /* claim and token on disk */
    JOB_TRANSCODED, /* the outcome is on disk: transcoded and checked */
    JOB_SEALED,     /* the completion's bytes are on disk */
    JOB_REOPENED,   /* sealed, but the server misses output: upload again, then present again */
    JOB_FAILED,     /* the failure report's bytes are on disk */
    JOB_LOST,       /* the claim went, or the job did, before anything was sealed */
    JOB_ACKNOWLEDGED, /* the server's acknowledgement is on disk */
    JOB_STATE_COUNT,
};

enum job_event {
    JOB_OUTCOME_RECORDED,
    JOB_COMPLETION_SEALED,
    JOB_FAILURE_SEALED,
    JOB_OUTPUT_MISSING,
    JOB_UPLOADED_AGAIN,
    JOB_CLAIM_GONE,
    JOB_ACKNOWLEDGEMENT_RECORDED,
    JOB_REBOUND, /* a new claim of the same job: new token, the work stays */
    JOB_EVENT_COUNT,
};

/* What is in the directory; bit 1u << file. */
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

/* Who moves a record in this state on. */
enum job_need { JOB_NEEDS_NOBODY, JOB_NEEDS_STEP, JOB_NEEDS_COURIER, JOB_NEEDS_CLEANUP };

enum job_state job_state_of(unsigned files);
enum job_state job_next(enum job_state state, enum job_event event);
enum job_need job_need(enum job_state state);
const char *job_state_name(enum job_state state); /* "sealed" */
const char *job_event_name(enum job_event event);

/* Does the job hold a slot (its transcode is still to be done)? Only JOB_CLAIMED does. */
int job_holds_slot(enum job_state state);

#endif
