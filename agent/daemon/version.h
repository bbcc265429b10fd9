/* version: finds out ffmpeg's version and whether it works, by running it on the loop.
 *
 * After the first heartbeat, which comes before it, and again every VERSION_AGAIN_MS while ffmpeg
 * does not work: a library missing after an upgrade is noticed before it costs jobs their attempts.
 * While ffmpeg does not work nothing is claimed. Runs nothing if the recipe does not use ffmpeg. */
#ifndef AGENT_VERSION_H
#define AGENT_VERSION_H

#include "agent/base/tool.h"
#include "agent/daemon/node.h"

enum { VERSION_AGAIN_MS = 30 * 1000 };

struct version {
    struct node *node;
    char *text; /* char[TOOL_VERSION_BYTES], borrowed: the version */
    struct tool_question question;
    int64_t due_ms, limit_ms;
    bool is_heard; /* the first heartbeat is done */
};

void version_init(struct version *version, struct node *node, char text[TOOL_VERSION_BYTES]);
int64_t version_tick(struct version *version, bool is_heard, int64_t now_ms);
/* fd is readable. False: it is not ours. */
bool version_handle(struct version *version, int fd);
bool version_handle_pid(struct version *version, pid_t pid); /* the same, by a child's PID */
void version_cancel(struct version *version);

#endif
