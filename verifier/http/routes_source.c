/* The source, whole or a part of it. */
#include "lib/cleanup.h"
#include "verifier/base/range.h"
#include "verifier/http/routes.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Strong: another file, size or time of change is another entity. */
static void make_etag(const struct stat *status, char etag[96])
{
    snprintf(etag, 96, "\"%llx-%llx-%llx\"", (unsigned long long)status->st_ino,
             (unsigned long long)status->st_size,
             (unsigned long long)status->st_mtim.tv_sec * 1000000000ull +
                 (unsigned long long)status->st_mtim.tv_nsec);
}

static void send_source(struct request *request, struct answer *answer, int fd,
                        const struct stat *status)
{
    char etag[96];
    struct range range;
    make_etag(status, etag);
    const char *header = request_header(request, "Range");
    const char *if_range = request_header(request, "If-Range");
    if (if_range && strcmp(if_range, etag) != 0)
        header = NULL; /* a part of something else: the whole, then */

    answer_add_header(answer, "ETag", "%s", etag);
    answer_add_header(answer, "Accept-Ranges", "bytes");
    switch (range_parse(header, status->st_size, &range)) {
    case RANGE_WHOLE:
        return answer_file(answer, fd, 200, 0, status->st_size);
    case RANGE_PART:
        answer_add_header(answer, "Content-Range", "bytes %lld-%lld/%lld", (long long)range.first,
                          (long long)(range.first + range.length - 1), (long long)status->st_size);
        return answer_file(answer, fd, 206, range.first, range.length);
    case RANGE_UNSATISFIABLE:
        answer_add_header(answer, "Content-Range", "bytes */%lld", (long long)status->st_size);
        close(fd);
        return answer_problem(answer, TAILSLATE_PROBLEM_RANGE, NULL);
    }
}

void route_source(struct request *request, struct answer *answer)
{
    enum tailslate_standing standing;
    struct store_job job;
    struct error err;
    if (!route_read_job(request, answer, &standing, &job))
        return;
    struct stat status;
    FD(fd) = files_open_source(request->app->files, request->number, &err);
    if (fd < 0 && err.code == ENOENT)
        return answer_problem(answer, TAILSLATE_PROBLEM_NOT_FOUND,
                              "There is no source file for this video.");
    if (fd < 0)
        return answer_error(answer, request, &err);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return answer_problem(answer, TAILSLATE_PROBLEM_NOT_FOUND,
                              "The source is not a regular file.");
    send_source(request, answer, steal_fd(&fd), &status);
}
