/* command: the recipe "command": any program instead of the built-in ladder.
 *
 * Its arguments are transcode.command with {source} {output} {job_id} {video_id} {slug} {width}
 * {height} {duration} {existing} filled in, no shell between; the same values stand in its
 * environment as TAILSLATE_SOURCE and so on. It leaves a directory a rendition in {output}, laid
 * out as on the server, and may leave {output}/result.json in the form of a completion's body,
 * which then says sizes, bit rates, codec and warnings. What it left is checked as the ladder's is.
 */
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

/* What it left, as the plan that check compares with. result->rendition_count 0: no result.json. */
int command_discover(struct session *session, int output, struct ladder *ladder,
                     struct tailslate_completion *result, struct error *err);

#endif
