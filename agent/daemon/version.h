/* version: which ffmpeg is there, and does it run? Asked of the program itself, on the loop.
 *
 * After the first heartbeat, which has the processor to itself, and again every
 * VERSION_AGAIN_MS as long as the program does not run: a library that went with an upgrade is
 * found out before it costs jobs their attempts. While it does not run nothing is claimed. Asks
 * nothing where the recipe does not use ffmpeg. */
#ifndef AGENT_VERSION_H
#define AGENT_VERSION_H

#include "agent/base/tool.h"
#include "agent/daemon/node.h"

enum { VERSION_AGAIN_MS = 30 * 1000 };

struct version {
    struct node *node;
    char *text; /* char[TOOL_VERSION_BYTES], borrowed: what it said */
    struct tool_question question;
    int64_t due_ms, limit_ms;
    bool is_heard; /* the first heartbeat has had its turn */
};

void version_init(struct version *version, struct node *node, char text[TOOL_VERSION_BYTES]);
int64_t version_tick(struct version *version, bool is_heard, int64_t now_ms);
/* fd has become readable. False: it is none of ours. */
bool version_handle(struct version *version, int fd);
bool version_handle_pid(struct version *version, pid_t pid); /* the same, by a child's pid */
void version_cancel(struct version *version);

#endif
