/* outbox_private: what outbox.c (records) and outbox_deliver.c share. */
#ifndef TAILSLATE_OUTBOX_PRIVATE_H
#define TAILSLATE_OUTBOX_PRIVATE_H

#include "lib/error.h"

#include "tailslate/outbox.h"

enum { OUTBOX_NAME_BYTES = TAILSLATE_TOKEN_BYTES + 8 };

struct outbox_entry {
    int64_t job_id, due_ms;
    unsigned failures;
    bool sealed;     /* durably; or its record cannot be read */
    bool past_cache; /* present it without its token */
};

struct tailslate_outbox {
    int dir, refused;
    size_t count;
    struct outbox_entry entries[TAILSLATE_OUTBOX_JOBS_MAX];
    struct error err;
};

struct outbox_record {
    int64_t job_id, claim_epoch;
    char token[TAILSLATE_TOKEN_BYTES];
    char *body; /* NULL: not sealed */
};

void outbox_record_free(const struct outbox_record *record);
#define RECORD(name) CLEANUP(outbox_record_free) struct outbox_record name = {0}

void outbox_name(int64_t job_id, char name[OUTBOX_NAME_BYTES]);
/* 1, or 0: there is none; -1. */
int outbox_read(struct tailslate_outbox *outbox, int64_t job_id, struct outbox_record *record);
void outbox_drop(struct tailslate_outbox *outbox, struct outbox_entry *entry);

#endif
