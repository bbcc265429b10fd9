/* progress: how far ffmpeg says it is (its -progress file). progress_parse is pure.
 *
 * The file grows by a block of key=value lines a second; only its tail is read. A block that is
 * still being written is completed from the one before. */
#ifndef AGENT_PROGRESS_H
#define AGENT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROGRESS_TAIL_BYTES = 4096 };

struct progress {
    double out_time_s;
    int64_t frame;
    double speed; /* seconds of film per second; 0 unknown */
    bool ended;   /* ffmpeg has written its last block */
};

/* False: no block is there yet; *progress is untouched. */
bool progress_parse(const char *text, size_t size, struct progress *progress);
bool progress_read(int fd, struct progress *progress);

#endif
