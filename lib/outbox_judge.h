/* outbox_judge: what an answer to a presented completion means. Pure; belongs to outbox.c. */
#ifndef TAILSLATE_OUTBOX_JUDGE_H
#define TAILSLATE_OUTBOX_JUDGE_H

#include "tailslate/outbox.h"

struct outbox_judgment {
    enum tailslate_outbox_outcome outcome;
    enum tailslate_problem problem;
    tailslate_quality_set missing;
    /* AGAIN: a stock server says "already completed", possibly from its cache. */
    bool may_be_cached;
    char why[256];
};

/* past_cache: it was presented without its token. */
void outbox_judge(const char *token, bool past_cache, const struct tailslate_outbox_answer *answer,
                  struct outbox_judgment *judgment);

#endif
