#include "base/clock.h"
#include "check.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 2 << 20 };

/* ---- reading --------------------------------------------------------------------------------- */

static int read_history(struct evidence *evidence, const char *path)
{
    TEXT(line) = NULL;
    size_t room = 0;
    STREAM(file) = fopen(path, "re");
    evidence->history = json_new_array();
    for (ssize_t size; file && (size = getline(&line, &room, file)) > 0;) {
        struct error err;
        struct json *parsed = json_parse_large(line, (size_t)size, &err);
        if (!parsed)
            return fprintf(evidence->out, "%s: %s\n", path, err.message), -1;
        json_append(evidence->history, parsed);
    }
    return file ? 0 : (fprintf(evidence->out, "%s: cannot be read\n", path), -1);
}

static int read_database(struct evidence *evidence, const char *path)
{
    struct error err = {.message = "it cannot be read"};
    TEXT(content) = must_calloc(1, LINE_MAX_BYTES);
    STREAM(file) = fopen(path, "re");
    size_t size = file ? fread(content, 1, LINE_MAX_BYTES - 1, file) : 0;
    evidence->database = size > 0 ? json_parse_large(content, size, &err) : NULL;
    return evidence->database ? 0 : (fprintf(evidence->out, "%s: %s\n", path, err.message), -1);
}

int evidence_read(struct evidence *evidence, const char *directory, FILE *out)
{
    *evidence = (struct evidence){.directory = directory, .out = out};
    TEXT(history) = must_printf("%s/history.jsonl", directory);
    TEXT(database) = must_printf("%s/database.json", directory);
    return read_history(evidence, history) == 0 ? read_database(evidence, database) : -1;
}

void evidence_fini(struct evidence *evidence)
{
    json_free(evidence->history);
    json_free(evidence->database);
}

void complain(struct evidence *evidence, const char *promise, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(evidence->out, "%s: ", promise);
    vfprintf(evidence->out, format, args);
    fputc('\n', evidence->out);
    va_end(args);
    evidence->complaints++;
}

/* ---- values ---------------------------------------------------------------------------------- */

int64_t number(const struct json *object, const char *name)
{
    int64_t value = 0;
    json_get_int(object, name, -(1LL << 53), 1LL << 53, &value);
    return value;
}

const char *text(const struct json *object, const char *name)
{
    const char *value = "";
    json_get_text(object, name, LINE_MAX_BYTES, &value);
    return value;
}

bool flag(const struct json *object, const char *name)
{
    bool value = false;
    json_get_bool(object, name, &value);
    return value;
}

int64_t time_us(const struct json *object, const char *name)
{
    int64_t value = 0;
    return wall_parse(text(object, name), &value) ? value : 0;
}

int64_t real_us(const struct evidence *evidence, const struct json *object, const char *name)
{
    int64_t said_us = time_us(object, name), from_us = 0, shift_us = 0, found_us = 0;
    const struct json *line = first_line(evidence, "clock", NULL);
    const char *store = text(first_line(evidence, "start", NULL), "store");
    if (*store && strcmp(store, "sqlite") != 0)
        return said_us; /* PostgreSQL tells the time */
    for (; said_us; line = line_after(line, "clock", NULL)) {
        int64_t until_us = line ? number(line, "at_us") : INT64_MAX;
        int64_t real_us = said_us - shift_us;
        if (real_us >= from_us && real_us < until_us && found_us)
            return 0;
        if (real_us >= from_us && real_us < until_us)
            found_us = real_us;
        if (!line)
            break;
        from_us = until_us;
        shift_us = number(line, "shift_ms") * 1000;
    }
    return found_us;
}

/* ---- lines and rows -------------------------------------------------------------------------- */

static const struct json *from(const struct json *line, const char *event, const char *what)
{
    while (line && (strcmp(text(line, "event"), event) != 0 ||
                    (what && strcmp(text(line, "what"), what) != 0)))
        line = json_next(line);
    return line;
}

const struct json *line_after(const struct json *line, const char *event, const char *what)
{
    return from(json_next(line), event, what);
}

const struct json *first_line(const struct evidence *evidence, const char *event, const char *what)
{
    return from(json_first(evidence->history), event, what);
}

const struct json *row_by_number(const struct evidence *evidence, const char *table,
                                 const char *column, int64_t value)
{
    EACH_ROW(evidence, row, table)
    if (number(row, column) == value)
        return row;
    return NULL;
}

int orders(const struct evidence *evidence, const char *verb, int64_t job)
{
    int count = 0;
    EACH_LINE(evidence, line, "verb", NULL)
    count += number(line, "job") == job && number(line, "status") / 100 != 4 &&
             (!verb || strcmp(text(line, "verb"), verb) == 0);
    return count;
}

int faults_done(const struct evidence *evidence, const char *fault)
{
    int count = 0;
    EACH_LINE(evidence, line, "fault", NULL)
    count += strcmp(text(line, "fault"), fault) == 0 && flag(line, "done");
    return count;
}

bool is_deleted(const struct evidence *evidence, int64_t job)
{
    return !row_by_number(evidence, "transcoding_jobs", "id", job) &&
           orders(evidence, "delete", job) > 0;
}

const struct json *claim_of(const struct evidence *evidence, int64_t job, int64_t epoch)
{
    EACH_LINE(evidence, line, "call", "claim")
    if (number(json_get(line, "answer"), "job_id") == job &&
        number(json_get(line, "answer"), "claim_epoch") == epoch)
        return line;
    return NULL;
}

const struct json *completion_of(const struct evidence *evidence, int64_t job, int64_t epoch)
{
    EACH_ROW(evidence, row, "completions")
    if (number(row, "job_id") == job && number(row, "claim_epoch") == epoch)
        return row;
    return NULL;
}

bool has_second_token(const struct evidence *evidence, int64_t job, int64_t epoch)
{
    EACH_LINE(evidence, call, "call", "complete")
    if (flag(call, "forged") && number(call, "job") == job && number(call, "epoch") == epoch)
        return true;
    return false;
}

bool is_lost(const struct json *line, int64_t node)
{
    for (; line; line = line_after(line, "fault", NULL))
        if (strcmp(text(line, "fault"), "lose-node") == 0 && flag(line, "done") &&
            number(line, "target") == node)
            return true;
    return false;
}

const struct json *last_round(const struct evidence *evidence)
{
    const struct json *last = NULL;
    EACH_LINE(evidence, line, "round", NULL)
    last = line;
    return last;
}

int64_t last_epoch(const struct evidence *evidence, int64_t job)
{
    return number(row_by_number(evidence, "job_epochs", "job_id", job), "claim_epoch");
}

void check_all(struct evidence *evidence)
{
    check_acknowledgements(evidence);
    check_claims(evidence);
    check_releases(evidence);
    check_ends(evidence);
    check_moments(evidence);
    check_files(evidence);
}
