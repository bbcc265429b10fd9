/* view: what there is to see of a node, as one JSON object: made once, shown by many.
 *
 * Reads the spool itself (SPOOL_READ: nothing is changed, no lock is taken) and adds what the
 * running agent has published in status.json. Works when no agent runs, and says so. The keys are
 * documented in docs/STATUS.md and do not change their meaning. */
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

/* One record of whichever room, with its files and the end of its transcoder's log; owned. NULL:
 * there is none (err->code ENOENT, EINVAL) or it cannot be opened. */
struct json *view_record(const struct view *view, const char *id, struct error *err);

/* Members as they are shown. */
const char *view_text(const struct json *object, const char *key, const char *otherwise);
int64_t view_int(const struct json *object, const char *key, int64_t otherwise);
bool view_bool(const struct json *object, const char *key);
/* Seconds from a time that a member holds until now (negative: it is to come). False: no time. */
bool view_age(const struct json *object, const char *key, int64_t *seconds);
/* "42 s", "3:07 min", "2:03:04", "5 days" */
enum { VIEW_SPAN_BYTES = 24 };
const char *view_span(int64_t seconds, char text[VIEW_SPAN_BYTES]);

#endif
