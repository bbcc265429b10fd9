/* memory_ledger: one job and its video in memory, as a ledger that fails on cue. */
#ifndef TEST_MEMORY_LEDGER_H
#define TEST_MEMORY_LEDGER_H

#include "tailslate/ledger.h"

enum { MEMORY_COMPLETIONS_MAX = 8, MEMORY_CALLS_BYTES = 512 };

struct memory_state {
    struct tailslate_facts facts;
    struct tailslate_recorded completions[MEMORY_COMPLETIONS_MAX];
    size_t completion_count;
    double duration;
    int64_t source_width;
    enum tailslate_codec codec;
};

struct memory_ledger {
    struct memory_state committed, working;
    tailslate_quality_set files; /* the renditions whose files are there */
    /* What goes wrong: the name of the call that fails ("facts"); a commit that breaks before or
     * after it took effect; a job that changes between the facts and the write. */
    const char *failing;
    bool commit_is_unknown, unknown_took_effect, write_is_refused;
    char calls[MEMORY_CALLS_BYTES]; /* "begin lock facts ..." */
};

/* A job that worker `caller` holds under epoch 3; its files are there. */
void memory_ledger_init(struct memory_ledger *memory);
struct tailslate_ledger memory_ledger_of(struct memory_ledger *memory);

#endif
