/* session_part: what the files of session share among themselves. */
#ifndef AGENT_SESSION_PART_H
#define AGENT_SESSION_PART_H

#include "agent/api/session.h"

/* What an answer says by itself; pure. session_judge acts on it. */
enum verdict session_verdict_of(const struct session *session, const struct http_answer *answer,
                                enum expected expected);
/* The server as such was away, not one thing of it. */
bool session_is_outage(enum tailslate_answer_class class);
/* session_answer.c asks for the job again, unless that is under way or not due yet. */
void session_reclaim(struct session *session, const struct http_answer *refusal);
/* The finished work is refused, for a reason of its own: counts from the first time. */
void session_note_refusal(struct session *session, const char *reason);
/* True: nobody has been told yet that something is held. */
bool session_say_held(struct session *session);
/* How long to wait before a held call is made again. */
int64_t session_hold_ms(const struct session *session, int64_t retry_after_ms);
/* Wakes what sits out a pause. */
void session_is_back(struct session *session);

void session_orders_open(struct session *session);
void session_orders_close(struct session *session);
/* After each wait: at once where the watch was readable, else once a second. */
void session_orders_look(struct session *session, bool is_event);

#endif
