/* progress: reads ffmpeg's -progress file. progress_parse is pure.
 *
 * The file grows by a block of key=value lines every second; only its end is read. A block that is
 * still being written is completed from the previous one. */
#ifndef AGENT_PROGRESS_H
#define AGENT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROGRESS_TAIL_BYTES = 4096 };

struct progress {
    double out_time_s;
    int64_t frame;
    double speed; /* seconds of video per second; 0 = unknown */
    bool ended;   /* ffmpeg has written its last block */
};

/* False: no block yet; *progress is unchanged. */
bool progress_parse(const char *text, size_t size, struct progress *progress);
bool progress_read(int fd, struct progress *progress);

#endif
