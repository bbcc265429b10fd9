/* session_part: what the files of session share. */
#ifndef AGENT_SESSION_PART_H
#define AGENT_SESSION_PART_H

#include "agent/api/session.h"

/* What an answer means by itself; pure. session_judge acts on it. */
enum verdict session_verdict_of(const struct session *session, const struct http_answer *answer,
                                enum expected expected);
/* The server as a whole was unavailable, not one resource of it. */
bool session_is_outage(enum tailslate_answer_class class);
/* Called by session_answer.c. Reclaims the job, unless a reclaim is under way or not due yet. */
void session_reclaim(struct session *session, const struct http_answer *refusal);
/* The finished work is refused for a reason of its own: the first time counts. */
void session_note_refusal(struct session *session, const char *reason);
/* True: it has not been reported yet that something is on hold. */
bool session_say_held(struct session *session);
/* How long to wait before repeating a request that is on hold. */
int64_t session_hold_ms(const struct session *session, int64_t retry_after_ms);
/* Ends the pauses of all waiting requests. */
void session_is_back(struct session *session);

void session_control_open(struct session *session);
void session_control_close(struct session *session);
/* Call after each wait: acts at once if the watch was readable, otherwise once a second. */
void session_control_check(struct session *session, bool is_event);

#endif
