/* history: what happened in a run, one JSON object a line, in the order of writing. The checker
 * reads nothing else of the run but the database and the files.
 *
 *     round     seed: its storm begins now
 *     start     store nodes verifiers jobs transcoder claim_ms offline_ms grace_ms
 *     call      what node job? epoch? token? jobs? status asked_us answered_us fault? passed
 *               answer?: what the verifier said. status 0: nothing. passed: the node had all of it
 *               job of an upload: the video, as in its path; forged: the node has not sent it
 *     verb      verb job status asked_us answered_us: an operator's; status 0: no answer
 *     fault     number fault target amount: a fault of the schedule, when it was done
 *     finished  node record job token: a record whose transcode has ended well was seen in a spool
 *     lost      job: a file of its was removed before a completion of it was ever presented
 *     added     job slug
 *     clock     shift_ms: from now on the verifiers' clocks are so far ahead of this one
 *     died      program status: it ended by itself, and is started again
 *     healed    from here on nothing is harmed any more
 *     sweeper   instance: whose sweep is the last one by now; written after `healed` alone
 *     quiet     calm: whether all work came to its end within the time for it
 *     gate      rows: what is in Redis then, a key and its value each
 *     ended     program status: how it ended on SIGTERM
 *
 * Every line has `event` and `at_us`, microseconds since 1970. Safe from threads. */
#ifndef LAB_HISTORY_H
#define LAB_HISTORY_H

#include "lib/json.h"

struct history;
struct history *history_open(const char *path);
void history_close(struct history *history);
struct json *history_line(const char *event); /* owned; with at_us */
void history_write(struct history *history, struct json *owned_line);

#endif
