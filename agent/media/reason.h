/* reason: why a source cannot be made into a video, in plain English. Pure, except
 * reason_read_line.
 *
 * Derived from ffprobe's findings and from the first informative line of ffmpeg's log; the last
 * line rarely helps ("Conversion failed!", "Last message repeated 1 times"). It also says what is
 * at fault, which decides whether another attempt is made:
 *    the file     err PERMANENT: no node can do better
 *    the node     err TEMPORARY, code ENOEXEC or ENOMEM: another node may do better
 *    neither      err TEMPORARY, code 0: the cause is unknown. */
#ifndef AGENT_REASON_H
#define AGENT_REASON_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REASON_LINE_BYTES = 256, REASON_LOG_BYTES = 64 * 1024 };

/* False for a line that repeats, sums up or follows from another. */
bool reason_is_telling(const char *line);
/* Does the demuxer report that the file ends before what its index lists? */
bool reason_says_partial(const char *line);

/* The first informative line of a log, without control bytes and "[h264 @ 0x…] "; if there is none,
 * the last non-empty line; or "". */
void reason_find_line(const char *log, size_t size, char line[REASON_LINE_BYTES]);

/* The same for a log file, from an offset on: reads at most REASON_LOG_BYTES. */
void reason_read_line(int log_fd, int64_t from, char line[REASON_LINE_BYTES]);

/* Appends "\n" and a line for each of the last lines of a log to the text, as many whole lines as
 * fit into its capacity; without control bytes, blank lines and lines that name `secret` (a path;
 * NULL: none). */
void reason_add_lines(const char *log, size_t size, const char *secret, char *text,
                      size_t capacity);

/* Fills err with the meaning of a line and returns -1. otherwise: the text if the meaning is
 * unknown. */
int reason_of_line(const char *line, const char *otherwise, struct error *err);

#endif
