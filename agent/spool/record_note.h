/* record_note: notes beside a record's state. Best effort: none of them decides about work. */
#ifndef AGENT_RECORD_NOTE_H
#define AGENT_RECORD_NOTE_H

#include <stdbool.h>
#include <stdint.h>

/* Notes beside the state: what the step waits for (disk space, in bytes; 0: nothing any more), and
 * that a failure was caused by this node and not by the video. Best effort. */
#define RECORD_WAITING "waiting.json"
void record_note_waiting(int dir, int64_t need_bytes);
bool record_is_waiting(int dir);
/* False: it does not wait. */
bool record_read_need(int dir, int64_t *need_bytes, int64_t *since_us);
void record_note_fault(int dir, const char *reason);
bool record_is_fault(int dir);
void record_read_fault(int dir, char reason[256]); /* "" if it cannot be read */

/* Since when the courier has been waiting to bypass a stock server's cache. False: it is not, or
 * that was for another token. */
void record_note_silence(int dir, const char *token, int64_t since_us);
bool record_read_silence(int dir, const char *token, int64_t *since_us);

/* That the server refuses this job's finished work: since when, last when, and why. The first time
 * survives restarts until it is cleared, when a file is accepted or an operator requests a retry. A
 * time in the future is reset. */
#define RECORD_REFUSED "refused.json"
struct record_refusal {
    int64_t since_us, at_us;
    char reason[256];
};
void record_note_refusal(int dir, const char *reason, struct record_refusal *noted);
bool record_read_refusal(int dir, struct record_refusal *refusal); /* false: there is none */
void record_forget_refusal(int dir);

#endif
