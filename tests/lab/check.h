/* check: what the laboratory's checker knows of a run, and its rules. Trusts no program's word: an
 * answer is compared with the rows, the rows with the files, a release with the heartbeats.
 *
 * The directory of a run: history.jsonl (history.h), database.json (a member for each table, a list
 * of rows), videos/, agent-<n>/. */
#ifndef LAB_CHECK_H
#define LAB_CHECK_H

#include "lib/json.h"

#include <stdio.h>

struct evidence {
    struct json *history; /* a list of lines */
    struct json *database;
    const char *directory;
    FILE *out; /* a line for each complaint: the promise, what is wrong */
    int complaints;
};

/* -1: the files are not there or are no such files; said on out. */
int evidence_read(struct evidence *evidence, const char *directory, FILE *out);
void evidence_fini(struct evidence *evidence);
void complain(struct evidence *evidence, const char *promise, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void check_all(struct evidence *evidence);              /* all of these */
void check_acknowledgements(struct evidence *evidence); /* P1, P2, P7 */
void check_claims(struct evidence *evidence);           /* P4, P5, P6 */
void check_releases(struct evidence *evidence);         /* P9 */
void check_ends(struct evidence *evidence);             /* every job and every record: P3, P6 */
void check_moments(struct evidence *evidence);          /* late, forged or stale: P2, P6, P7, P9 */
void check_files(struct evidence *evidence);            /* P3, P4: what the rows say is there */

/* What is absent is 0, "" or false. */
int64_t number(const struct json *object, const char *name);
const char *text(const struct json *object, const char *name);
bool flag(const struct json *object, const char *name);
int64_t time_us(const struct json *object, const char *name);
/* The same, of a time that a verifier wrote, by the clock that the history has; 0: its clock was
 * set back, and it may have been either of two times. */
int64_t real_us(const struct evidence *evidence, const struct json *object, const char *name);

/* Of the history: the next line of this event, and for calls of this kind (NULL: any). */
const struct json *line_after(const struct json *line, const char *event, const char *what);
const struct json *first_line(const struct evidence *evidence, const char *event, const char *what);
#define EACH_LINE(evidence, line, event, what)                                                     \
    for (const struct json *line = first_line(evidence, event, what); line;                        \
         line = line_after(line, event, what))
#define EACH_ROW(evidence, row, table)                                                             \
    for (const struct json *row = json_first(json_get((evidence)->database, table)); row;          \
         row = json_next(row))

const struct json *row_by_number(const struct evidence *evidence, const char *table,
                                 const char *column, int64_t value); /* NULL: none */
/* How often an operator may have done it to the job: what was not refused. verb NULL: any. */
int orders(const struct evidence *evidence, const char *verb, int64_t job);
int faults_done(const struct evidence *evidence, const char *fault); /* so many of its kind */
/* The job's row is gone because an operator deleted it. */
bool is_deleted(const struct evidence *evidence, int64_t job);
/* The claim of this epoch as it was granted; NULL: nobody heard of it. */
const struct json *claim_of(const struct evidence *evidence, int64_t job, int64_t epoch);
/* The completion of this claim; NULL: there is none. */
const struct json *completion_of(const struct evidence *evidence, int64_t job, int64_t epoch);
bool has_second_token(const struct evidence *evidence, int64_t job, int64_t epoch); /* forged */
/* The node was lost with its disk, after that line. */
bool is_lost(const struct json *line, int64_t node);
const struct json *last_round(const struct evidence *evidence);   /* NULL: there is none */
int64_t last_epoch(const struct evidence *evidence, int64_t job); /* by the database */

#endif
