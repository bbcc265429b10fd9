/* doctor_report: how the parts of doctor report their findings (doctor.h), and what an
 * answer of the server means to it. */
#ifndef AGENT_DOCTOR_REPORT_H
#define AGENT_DOCTOR_REPORT_H

#include "agent/api/http.h"
#include "agent/base/config.h"

enum finding { FINDING_GOOD, FINDING_NOTE, FINDING_PASSING, FINDING_BAD };

struct doctor {
    const struct config *config;
    enum finding worst;
};

/* advice: what to do about it; may be NULL. */
void doctor_report(struct doctor *doctor, enum finding finding, const char *subject,
                   const char *advice, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* By the worst finding. */
int doctor_exit_status(const struct doctor *doctor);

/* What the answer to a heartbeat says about URL, key and server. */
void doctor_judge_server(struct doctor *doctor, const struct http_answer *answer);
#endif
