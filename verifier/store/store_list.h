/* store_list: lists of jobs, newest first, by what an operator asks for. Reads only. */
#ifndef VERIFIER_STORE_LIST_H
#define VERIFIER_STORE_LIST_H

#include "verifier/store/store_operator.h"

enum { STORE_JOBS_MAX = 10000 }; /* rows of one list of jobs */

struct json;

/* NULL and 0: all. */
struct store_job_filter {
    const char *status; /* of the video: pending, processing, ready, failed */
    const char *worker; /* the last holder's name, worker_id or number */
    const char *since;  /* a time: added, or ended, since then */
    int64_t before;     /* job IDs below this one */
    int64_t limit;      /* 1 to STORE_JOBS_MAX */
};
bool store_job_status_is_known(const char *status);

struct store_job_page {
    struct store_job *jobs; /* owned */
    size_t count;
    bool more; /* jobs that the limit has cut off */
};
int store_job_list(struct store *store, const struct store_job_filter *filter,
                   struct store_job_page *page, struct error *err);
void store_job_page_fini(struct store_job_page *page);
/* How many there are without the limit. */
int store_job_count(struct store *store, const struct store_job_filter *filter, int64_t *count,
                    struct error *err);

/* The same list as JSON: jobs that a worker holds have quality_progress. *list is owned. */
int store_job_list_json(struct store *store, const struct store_job_filter *filter,
                        struct json **list, bool *more, struct error *err);

#endif
