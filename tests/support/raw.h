/* raw: HTTP as no library would send it, byte by byte, and a watch over how the verifier bears it.
 *
 * Attackers call from 127.0.0.2 and on, so that what is counted by address can be told apart from
 * the well-behaved client, which calls from 127.0.0.1. */
#ifndef SUPPORT_RAW_H
#define SUPPORT_RAW_H

#include "scene.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* host: the last number of 127.0.0.x to call from. -1: refused. */
int raw_connect(const struct rig *rig, int host);
/* False: the other side has closed. Waits at most RAW_SEND_MS until it can write. */
bool raw_send(int fd, const void *data, size_t size);
bool raw_send_text(int fd, const char *text);
/* What comes until the other side closes, the buffer is full or quiet_ms pass without a byte; NUL
 * behind it. */
size_t raw_read(int fd, char *buffer, size_t size, int64_t quiet_ms);
/* Has the other side closed (or reset)? Does not wait; reads what has come. */
bool raw_is_closed(int fd);
/* Send, read, close: the status of the (first) answer, 0 where there is none. */
int raw_status(const struct rig *rig, const void *data, size_t size, char *answer, size_t capacity);

enum { RAW_SEND_MS = 5000, RAW_QUIET_MS = 20 * 1000 };

/* While it watches, one client presents a completed job again and again, and /proc is read. */
struct watch;
struct watch_report {
    int64_t calls, failures; /* failures: whatever was not 200 */
    int64_t latency_max_ms, latency_p99_ms;
    int64_t rss_before_kib, rss_max_kib, rss_after_kib; /* RssAnon */
    int64_t threads_max;
};
/* scene_uploaded, watched, with places for a crowd of connections. */
struct scene watch_scene(struct watch **watch);
struct watch *watch_start(const struct scene *scene); /* its job is completed */
struct watch_report watch_end(struct watch *watch);   /* and says it in the test's output */

/* watch_end; fails the test unless the good client was served, the costs stayed within limits and
 * the log is whole; then rig_end. */
void watch_end_well(struct scene *scene, struct watch *watch);

/* A value out of /metrics, "tailslate_connections"; fails the test where it is not there. */
int64_t metric_of(const struct rig *rig, const char *name);
/* Fails the test unless the verifier's log is one whole event a line, and nothing else. */
void log_is_whole(const struct rig *rig);

#endif
