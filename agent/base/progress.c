#include "agent/base/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ffmpeg prints N/A for an unknown value: the last known one is kept. */
static bool take_line(const char *line, struct progress *progress)
{
    double value;
    if (sscanf(line, "out_time_us=%lf", &value) == 1 && isfinite(value)) {
        progress->out_time_s = value / 1e6;
        return true;
    }
    if (sscanf(line, "frame=%lf", &value) == 1 && value >= 0 && value < 1e15)
        progress->frame = (int64_t)value;
    else if (sscanf(line, "speed=%lf", &value) == 1 && isfinite(value) && value > 0)
        progress->speed = value;
    else if (strcmp(line, "progress=end") == 0)
        progress->ended = true;
    return false;
}

bool progress_parse(const char *text, size_t size, struct progress *progress)
{
    struct progress found = *progress;
    bool known = false;
    char line[128];
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        if (!end)
            break;
        size_t length = (size_t)(end - text);
        if (length < sizeof line) {
            memcpy(line, text, length);
            line[length] = '\0';
            known |= take_line(line, &found);
        }
        text += length + 1;
        size -= length + 1;
    }
    if (known || found.ended)
        *progress = found;
    return known;
}

bool progress_read(int fd, struct progress *progress)
{
    char tail[PROGRESS_TAIL_BYTES];
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return false;
    off_t start = status.st_size > PROGRESS_TAIL_BYTES ? status.st_size - PROGRESS_TAIL_BYTES : 0;
    ssize_t size = pread(fd, tail, sizeof tail, start);
    if (size <= 0)
        return false;
    const char *from = tail;
    /* The first line of a tail is incomplete. */
    if (start > 0) {
        const char *end = memchr(tail, '\n', (size_t)size);
        from = end ? end + 1 : tail + size;
    }
    return progress_parse(from, (size_t)(tail + size - from), progress);
}
