/* doctor_report: what the parts of doctor share (doctor.h), and what an answer of the server means.
 */
#ifndef AGENT_DOCTOR_REPORT_H
#define AGENT_DOCTOR_REPORT_H

#include "agent/api/http.h"
#include "agent/base/config.h"
#include "base/finding.h"

struct doctor {
    const struct config *config;
    struct findings findings;
};

/* What the answer to a heartbeat says about URL, key and server. */
void doctor_judge_server(struct doctor *doctor, const struct http_answer *answer);
#endif
