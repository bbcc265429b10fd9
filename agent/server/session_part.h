/* session_part: what the files of session share among themselves. */
#ifndef AGENT_SESSION_PART_H
#define AGENT_SESSION_PART_H

#include "session.h"

/* session_answer.c asks for the job again, unless that is under way or not due yet. */
void session_reclaim(struct session *session, const struct http_answer *refusal);
/* Wakes what sits out a pause. */
void session_is_back(struct session *session);

void session_orders_open(struct session *session);
void session_orders_close(struct session *session);
/* After each wait: at once where the watch was readable, else once a second. */
void session_orders_look(struct session *session, bool is_event);

#endif
