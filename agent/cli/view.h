/* view: everything that is known about a node, as one JSON object that all commands print.
 *
 * Reads the spool itself (SPOOL_READ: changes nothing, takes no lock) and adds what the running
 * agent has published in status.json. Works without an agent, and says so. The keys are documented
 * in docs/STATUS.md and keep their meaning. */
#ifndef AGENT_VIEW_H
#define AGENT_VIEW_H

#include "agent/base/config.h"
#include "agent/spool/spool.h"
#include "lib/json.h"

enum { VIEW_LOG_LINES = 20, VIEW_LOG_TAIL_BYTES = 8 * 1024 };

struct view {
    const struct config *config;
    struct spool spool;
    struct json *root;
};

int view_open(struct view *view, const struct config *config, struct error *err);
void view_close(struct view *view);

/* One record from any of the three directories, with its files and the end of its transcoder's log;
 * owned by the caller. NULL: it does not exist (err->code ENOENT, EINVAL) or cannot be opened. */
struct json *view_record(const struct view *view, const char *id, struct error *err);

/* Adds `waiting` to a record's row, if it waits: what for, since when, the next attempt, what to
 * do. progress: NULL: no step has reported. known: what the agent has published; NULL: nothing. */
void view_add_waiting(const struct view *view, struct json *row, int dir,
                      const struct record_progress *progress, const struct json *known);

/* Members, formatted for display. */
const char *view_text(const struct json *object, const char *key, const char *otherwise);
int64_t view_int(const struct json *object, const char *key, int64_t otherwise);
bool view_bool(const struct json *object, const char *key);
/* Seconds since the time in a member (negative: in the future). False: it is not a time. */
bool view_age(const struct json *object, const char *key, int64_t *seconds);
/* "42 s", "3:07 min", "2:03:04", "5 days" */
enum { VIEW_SPAN_BYTES = 24 };
const char *view_span(int64_t seconds, char text[VIEW_SPAN_BYTES]);

#endif
