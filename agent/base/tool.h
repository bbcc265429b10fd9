/* tool: are ffmpeg and ffprobe there, and what do they say about themselves?
 *
 * tool_find is a look along PATH and runs nothing, so that it costs a start nothing. tool_ask_start
 * runs `program <options>` with its output into memory and is to be waited for by its pidfd (the
 * agent's loop) or blocking (check), and is given up with all that it has started. Used for
 * -version, -encoders and -filters; never on the way of a job. */
#ifndef AGENT_TOOL_H
#define AGENT_TOOL_H

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { TOOL_OUTPUT_MAX_BYTES = 256 * 1024, TOOL_VERSION_BYTES = 64, TOOL_WAIT_MS = 5 * 1000 };

struct tool_question {
    pid_t pid;
    int pidfd, output; /* -1 = none */
};

/* Is it there and may we run it? err says where it was looked for. */
int tool_find(const char *program, struct error *err);
/* The same; the file that would be run, owned. NULL: not found. */
char *tool_locate(const char *program, struct error *err);

int tool_ask_start(const char *program, const char *option, struct tool_question *question,
                   struct error *err);
/* After the pidfd has become readable: *text is what it printed, owned. -1: it failed. */
int tool_ask_end(struct tool_question *question, char **text, struct error *err);
/* Both, waiting at most TOOL_WAIT_MS. */
int tool_ask(const char *program, const char *option, char **text, struct error *err);
void tool_ask_cancel(struct tool_question *question);

/* "ffmpeg version 5.1.9-0+deb12u1 Copyright ..." -> "5.1.9-0+deb12u1"; false: something else. */
bool tool_parse_version(const char *text, char version[TOOL_VERSION_BYTES]);
/* Does the output of -encoders name this encoder? */
bool tool_has_encoder(const char *text, const char *encoder);

#endif
