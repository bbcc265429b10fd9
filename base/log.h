/* log: one line per event on stderr, logfmt or JSON; thread-safe, one write(2) per line.
 *      log_info("job.sealed", LOG_INT("job", id), LOG_TEXT("token", token));
 *      time=2026-01-03T16:28:00.123Z level=info event=job.sealed job=7 token=7-…
 * Event names are stable: operators search for them. Values are quoted where needed; control bytes
 * are escaped, so that no input can forge a line. A line is truncated at LOG_LINE_BYTES. */
#ifndef TAILSLATE_LOG_H
#define TAILSLATE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_LINE_BYTES = 4096 };

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log_field {
    const char *key;  /* NULL ends the list */
    const char *text; /* borrowed; NULL: the number is the value */
    int64_t number;
};

#define LOG_TEXT(key, value) ((struct log_field){(key), (value), 0})
#define LOG_INT(key, value)  ((struct log_field){(key), NULL, (int64_t)(value)})

/* level: "debug" "info" "warning" "error"; format: "text" "json". False: unknown. */
bool log_configure(const char *level, const char *format);

/* Fields that come first in every later line of this process (the job of a step); borrowed. */
void log_always(const struct log_field *fields);

void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define log_at(level, event, ...)                                                                  \
    log_write((level), (event), (struct log_field[]){{0}, ##__VA_ARGS__, {0}} + 1)
#define log_debug(event, ...)   log_at(LOG_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...)    log_at(LOG_INFO, event, ##__VA_ARGS__)
#define log_warning(event, ...) log_at(LOG_WARNING, event, ##__VA_ARGS__)
#define log_error(event, ...)   log_at(LOG_ERROR, event, ##__VA_ARGS__)

#endif
