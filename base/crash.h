/* crash: numbered points at which a test kills the process with SIGKILL.
 *
 * Compiled in only with -DTAILSLATE_CRASH_POINTS=ON (presets dev and dev-clang); in a release every
 * call is empty and the environment is not read. TAILSLATE_CRASH="<number>:<flag file>": the first
 * process that reaches that point and can unlink the flag file dies there, so that each crash
 * happens once, and the missing file proves it to the test.
 *
 * The numbers are stable; the sweep in tests/fault uses this table. */
#ifndef TAILSLATE_CRASH_H
#define TAILSLATE_CRASH_H

#define CRASH_POINTS(X)                                                                            \
    X(1, AGENT_CLAIM_ANSWERED, "the answer to the claim was received, nothing is written")         \
    X(2, AGENT_CLAIM_RECORDED, "claim and token are on disk, no step runs")                        \
    X(3, AGENT_STEP_STARTED, "the step runs")                                                      \
    X(4, AGENT_PRESENTING, "the sealed report is about to be posted")                              \
    X(5, AGENT_ANSWERED, "the server has acknowledged, the disk does not know")                    \
    X(6, AGENT_ACKNOWLEDGED, "the acknowledgment is on disk, the outputs are there")               \
    X(7, AGENT_OUTPUTS_REMOVED, "the outputs are gone, the record is there")                       \
    X(8, AGENT_RECORD_REMOVED, "the record is gone")                                               \
    X(20, STEP_LOCKED, "the step holds its record")                                                \
    X(21, STEP_SOURCE_PARTIAL, "a part of the source is on disk")                                  \
    X(22, STEP_SOURCE_FETCHED, "the source is on disk, whole")                                     \
    X(23, STEP_TRANSCODER_STARTED, "the transcoder runs and its identity is on disk")              \
    X(24, STEP_SEGMENT_UPLOADED, "a segment was uploaded while the transcoder runs")               \
    X(25, STEP_TRANSCODER_EXITED, "the transcoder has ended, nothing is written")                  \
    X(26, STEP_OUTCOME_RECORDED, "the outcome is on disk")                                         \
    X(27, STEP_RENDITION_FINALIZED, "the server has one complete rendition")                       \
    X(28, STEP_UPLOADED, "everything is uploaded, nothing is sealed")                              \
    X(29, STEP_SEALED, "the completion is on disk")                                                \
    X(30, STEP_FAILURE_FOUND, "the job has failed, nothing is written")                            \
    X(31, STEP_FAILURE_SEALED, "the failure is on disk")

/* The verifier's, tested by its own sweep. */
#define CRASH_SERVER_POINTS(X)                                                                     \
    X(40, VERIFIER_GATE_ENTERED, "the gate is entered, the transaction has not begun")             \
    X(41, VERIFIER_IN_TRANSACTION, "the verdict is found under the lock, nothing is written")      \
    X(44, VERIFIER_COMMITTING, "the writes are at the database, perhaps with the commit")          \
    X(42, VERIFIER_COMMITTED, "the completion is committed, the gate does not know")               \
    X(43, VERIFIER_ANSWERING, "the gate knows, the worker does not")

/* And where it commits in groups, which is on SQLite (verifier/db/db_group.h). */
#define CRASH_GROUP_POINTS(X)                                                                      \
    X(45, VERIFIER_GROUP_RELEASED, "all of a group have written, nothing is committed")            \
    X(46, VERIFIER_GROUP_COMMITTED, "a group is committed, none of it knows")

enum crash_point {
#define CRASH_ENUM(number, name, meaning) CRASH_##name = (number),
    CRASH_POINTS(CRASH_ENUM) CRASH_SERVER_POINTS(CRASH_ENUM) CRASH_GROUP_POINTS(CRASH_ENUM)
#undef CRASH_ENUM
};

#ifdef TAILSLATE_CRASH_POINTS
void crash_point(enum crash_point point);
#else
static inline void crash_point(enum crash_point point)
{
    (void)point;
}
#endif

#endif
