/* doctor_encoders: the part of doctor that checks encoders, limits and the sandbox. */
#ifndef AGENT_DOCTOR_ENCODERS_H
#define AGENT_DOCTOR_ENCODERS_H

#include "agent/cli/doctor_report.h"

/* Devices, encoders and which of them will be used. Call after `ffmpeg -version` has succeeded. */
void doctor_check_encoders(struct doctor *doctor);
/* Limits and sandbox. */
void doctor_check_limits(struct doctor *doctor);

#endif
