/* command: the recipe "command": any program instead of the built-in ladder.
 *
 * Its arguments are transcode.command with {source} {output} {job_id} {video_id} {slug} {width}
 * {height} {duration} {existing} replaced, without a shell; the same values are in its environment
 * as TAILSLATE_SOURCE and so on. It writes one directory per rendition to {output}, laid out as on
 * the server, and optionally {output}/result.json in the form of a completion's body, which then
 * states sizes, bit rates, codec and warnings. Its output is checked like the ladder's. */
#ifndef AGENT_COMMAND_H
#define AGENT_COMMAND_H

#include "agent/api/session.h"
#include "agent/base/argv.h"
#include "agent/media/ladder.h"

#define COMMAND_RESULT "result.json"

enum { COMMAND_RESULT_MAX_BYTES = 64 * 1024, COMMAND_VALUES = 9 };

struct command {
    struct argv argv, environment;
};

int command_prepare(struct session *session, const struct probe *source, struct command *command,
                    struct error *err);
void command_fini(struct command *command);

/* What it made, as the plan for check. result->rendition_count 0: no result.json. */
int command_discover(struct session *session, int output, struct ladder *ladder,
                     struct tailslate_completion *result, struct error *err);

#endif
