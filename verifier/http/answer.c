#include "verifier/http/answer.h"

#include "base/log.h"
#include "verifier/base/counters.h"
#include "verifier/db/db.h"
#include "verifier/files/files_watch.h"

#include "tailslate/verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RETRY_AFTER_S = 2, RETRY_BUSY_AFTER_S = 1, RETRY_FULL_AFTER_S = 10 };

void answer_json(struct answer *answer, int status, char *owned_body)
{
    answer->status = status;
    answer->content_type = "application/json";
    answer->body = owned_body;
}

void answer_object(struct answer *answer, struct json *object)
{
    answer_json(answer, 200, json_print(object));
    json_free(object);
}

void answer_text(struct answer *answer, const char *content_type, char *owned_body)
{
    answer->status = 200;
    answer->content_type = content_type;
    answer->body = owned_body;
}

static void problem_with(struct answer *answer, enum tailslate_problem problem, const char *detail,
                         tailslate_quality_set missing)
{
    answer->status = tailslate_problem_status(problem);
    answer->problem = problem;
    answer->content_type = "application/problem+json";
    free(answer->body);
    answer->body = message_problem_format(
        problem, detail ? detail : tailslate_verify_detail(problem), missing);
    if (problem == TAILSLATE_PROBLEM_STORE_UNAVAILABLE)
        answer_add_header(answer, "Retry-After", "%d", RETRY_AFTER_S);
    else if (problem == TAILSLATE_PROBLEM_SERVER_FULL)
        answer_add_header(answer, "Retry-After", "%d", RETRY_FULL_AFTER_S);
    else if (problem == TAILSLATE_PROBLEM_COMPLETION_IN_PROGRESS)
        answer_add_header(answer, "Retry-After", "%d", RETRY_BUSY_AFTER_S);
}

void answer_problem(struct answer *answer, enum tailslate_problem problem, const char *detail)
{
    problem_with(answer, problem, detail, 0);
}

void answer_missing(struct answer *answer, tailslate_quality_set missing)
{
    problem_with(answer, TAILSLATE_PROBLEM_OUTPUT_MISSING, NULL, missing);
}

void answer_file(struct answer *answer, int fd, int status, int64_t offset, int64_t length)
{
    answer->status = status;
    answer->content_type = "application/octet-stream";
    answer->fd = fd;
    answer->fd_offset = offset;
    answer->fd_length = length;
}

static void note_failure(const struct request *request, const struct error *err)
{
    log_error("request.failed", LOG_TEXT("request_id", request->id),
              LOG_TEXT("path", request->path), LOG_TEXT("worker", request->worker.worker_id),
              LOG_TEXT("error", err->message), LOG_INT("errno", err->code));
    count_failure(err->code);
}

void answer_error(struct answer *answer, const struct request *request, const struct error *err)
{
    note_failure(request, err);
    if (err->code == DB_VALUE)
        return answer_problem(answer, TAILSLATE_PROBLEM_INVALID_FIELD,
                              "A value is larger than the database can store.");
    if (err->code == FILES_AWAY)
        return answer_problem(answer, TAILSLATE_PROBLEM_STORE_UNAVAILABLE, err->message);
    if (err->code == ENOSPC || err->code == EDQUOT)
        return answer_problem(answer, TAILSLATE_PROBLEM_SERVER_FULL, NULL);
    /* Internal details go to the log, not to the client. */
    answer_problem(answer,
                   err->class == ERROR_BUG ? TAILSLATE_PROBLEM_INTERNAL
                                           : TAILSLATE_PROBLEM_STORE_UNAVAILABLE,
                   NULL);
}

void answer_completion_error(struct answer *answer, const struct request *request,
                             const struct error *err)
{
    if (err->code != DB_BUSY)
        return answer_error(answer, request, err);
    note_failure(request, err);
    answer_problem(answer, TAILSLATE_PROBLEM_COMPLETION_IN_PROGRESS, NULL);
}

void answer_add_header(struct answer *answer, const char *name, const char *format, ...)
{
    must(answer->header_count < ANSWER_HEADERS_MAX);
    struct answer_header *header = &answer->headers[answer->header_count++];
    header->name = name;
    va_list args;
    va_start(args, format);
    must(vasprintf(&header->value, format, args) >= 0);
    va_end(args);
}

void answer_fini(struct answer *answer)
{
    free(answer->body);
    for (size_t i = 0; i < answer->header_count; i++)
        free(answer->headers[i].value);
    if (answer->fd >= 0)
        close(answer->fd);
}
