/* http_stream: the bytes of one call, both ways, whoever carries them; shared by the parts of http.
 *
 * What is sent is read from a descriptor. What comes goes into memory, or where a sink is wanted
 * and the server agrees, there. Heads and texts without an end are refused. Says why it stopped,
 * and when bytes last moved. */
#ifndef AGENT_HTTP_STREAM_H
#define AGENT_HTTP_STREAM_H

#include "agent/api/http.h"

#include <sys/types.h>

enum { HTTP_HEAD_MAX_BYTES = 64 * 1024 };

struct http_stream {
    int64_t moved_ms; /* monotonic */
    int body_fd, sink_fd;
    int64_t body_at, body_size;
    bool (*on_sink)(void *ctx, int64_t received, int64_t total);
    void *sink_ctx;
    int64_t sunk;
    char *text; /* the answer's body so far */
    size_t text_size, text_room, head_size;
    bool has_whole_head; /* the blank line after the last headers has come */
    bool is_too_long;
    bool has_failed_here; /* `here` says how */
    struct error here;
};

void http_stream_init(struct http_stream *stream, const struct http_request *request);
void http_stream_fini(struct http_stream *stream);

/* False: no more of it is wanted. total: of the body, -1 = unknown. */
bool http_stream_take_head(struct http_stream *stream, const char *line, size_t size);
bool http_stream_take(struct http_stream *stream, const char *data, size_t size, long status,
                      int64_t total);

/* How many bytes were put into buffer; 0: that was all; -1: `here` says why. */
ssize_t http_stream_give(struct http_stream *stream, char *buffer, size_t room);
bool http_stream_rewind(struct http_stream *stream, int64_t offset);

/* The body becomes the answer's. */
void http_stream_hand_over(struct http_stream *stream, struct http_answer *answer);

/* What its Content-Type says of an answer, and in JSON its words (http_answer.c). */
void http_answer_read(struct http_answer *answer, const char *content_type);

#endif
