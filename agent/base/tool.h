/* tool: finds ffmpeg and ffprobe and asks them about themselves.
 *
 * tool_find only searches PATH and runs nothing, so that it does not slow the start. tool_ask_start
 * runs `program <options>`, collects its output in memory, and is waited for by its pidfd (in the
 * agent's loop) or synchronously (in `check`); on a timeout it is killed with everything it
 * started. Used for -version, -encoders and -filters, never while a job waits. */
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

/* Does it exist, and can we run it? err says where it was searched for. */
int tool_find(const char *program, struct error *err);
/* The same; returns the path that would be run, owned by the caller. NULL: not found. */
char *tool_locate(const char *program, struct error *err);

int tool_ask_start(const char *program, const char *option, struct tool_question *question,
                   struct error *err);
/* Call when the pidfd is readable: *text is the output, owned by the caller. -1: it failed. */
int tool_ask_end(struct tool_question *question, char **text, struct error *err);
/* Both, waiting at most TOOL_WAIT_MS. */
int tool_ask(const char *program, const char *option, char **text, struct error *err);
void tool_ask_cancel(struct tool_question *question);

/* "ffmpeg version 5.1.9-0+deb12u1 Copyright ..." -> "5.1.9-0+deb12u1"; false: something else. */
bool tool_parse_version(const char *text, char version[TOOL_VERSION_BYTES]);
/* Does the output of -encoders list this encoder? */
bool tool_has_encoder(const char *text, const char *encoder);

#endif
