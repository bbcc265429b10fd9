/* http_stream: the bytes of one request in both directions; shared by the parts of http.
 *
 * Reads the request body from a descriptor. Stores the answer in memory, or in the sink if there is
 * one and the server sends a 2xx. Refuses headers and bodies over the limit. Records why it
 * stopped, and when the last byte moved. */
#ifndef AGENT_HTTP_STREAM_H
#define AGENT_HTTP_STREAM_H

#include "agent/api/http.h"

#include <sys/types.h>

enum { HTTP_HEADER_MAX_BYTES = 64 * 1024 };

struct http_stream {
    int64_t last_byte_ms; /* monotonic */
    int body_fd, sink_fd;
    int64_t body_at, body_size;
    bool (*on_sink)(void *ctx, int64_t received, int64_t total);
    void *sink_ctx;
    int64_t sink_size;
    char *text; /* the answer's body so far */
    size_t text_size, text_capacity, header_size;
    bool has_complete_header; /* the empty line after the last header has arrived */
    bool is_too_long;
    bool has_local_error; /* see `error` for the reason */
    struct error error;
};

void http_stream_init(struct http_stream *stream, const struct http_request *request);
void http_stream_fini(struct http_stream *stream);

/* False: stop the transfer. total: the size of the body, -1 = unknown. */
bool http_stream_receive_header(struct http_stream *stream, const char *line, size_t size);
bool http_stream_receive(struct http_stream *stream, const char *data, size_t size, long status,
                         int64_t total);

/* How many bytes were written to buffer; 0: end of the body; -1: see `error`. */
ssize_t http_stream_read_body(struct http_stream *stream, char *buffer, size_t capacity);
bool http_stream_rewind(struct http_stream *stream, int64_t offset);

/* Moves the body to the answer. */
void http_stream_move_body(struct http_stream *stream, struct http_answer *answer);

#endif
