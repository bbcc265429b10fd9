/* store_json: jobs, completions and sweeps as JSON: the same members on the command line and in the
 * API. All results are owned by the caller. */
#ifndef VERIFIER_STORE_JSON_H
#define VERIFIER_STORE_JSON_H

#include "verifier/store/store_overview.h"

struct json;
struct json *store_job_json(const struct store_job *job);
struct json *store_jobs_json(const struct store_job *jobs, size_t count);
struct json *store_details_json(const struct store_details *details);
struct json *store_renditions_json(const struct store_details *details);
struct json *store_progress_json(const struct message_quality_progress *progress, size_t count);

struct json *store_fleet_json(const struct store_fleet *fleet);
struct json *store_counts_json(const struct store_counts *counts);
struct json *store_recent_json(const struct store_overview *overview); /* the completions */
struct json *store_sweep_json(const struct store_swept *sweep);
struct json *store_sweeps_json(const struct store_overview *overview);

#endif
