/* reason: why a source cannot be made into a video, in words for people. Pure but for
 * reason_read_line.
 *
 * From what ffprobe found in it and from the first line of ffmpeg's log that tells something; its
 * last line is rarely the one ("Conversion failed!", "Last message repeated 1 times"). Says with it
 * whose fault it is, which decides whether anybody tries again:
 *   the file's   err PERMANENT: no node will ever do better
 *   the node's   err TEMPORARY, code ENOEXEC or ENOMEM: another node may do better
 *   neither's    err TEMPORARY, code 0: not known to be either. */
#ifndef AGENT_REASON_H
#define AGENT_REASON_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REASON_LINE_BYTES = 256, REASON_LOG_BYTES = 64 * 1024 };

/* Not what repeats, sums up or follows from another line. */
bool reason_is_telling(const char *line);
/* Does the demuxer say that the file ends before what its own index lists? */
bool reason_says_partial(const char *line);

/* The first telling line of a log, free of control bytes and of "[h264 @ 0x…] "; the last line that
 * says anything where none tells; "". */
void reason_find_line(const char *log, size_t size, char line[REASON_LINE_BYTES]);

/* The same of the log behind a descriptor, from an offset on: at most REASON_LOG_BYTES of it. */
void reason_read_line(int log_fd, int64_t from, char line[REASON_LINE_BYTES]);

/* Fills err with what a line means and returns -1. otherwise: the words where it is not known. */
int reason_of_line(const char *line, const char *otherwise, struct error *err);

#endif
