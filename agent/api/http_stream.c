#include "agent/api/http_stream.h"

#include "base/clock.h"
#include "lib/durable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void http_stream_init(struct http_stream *stream, const struct http_request *request)
{
    *stream = (struct http_stream){
        .last_byte_ms = mono_ms(),
        .body_fd = request->body_fd,
        .body_size = request->body_fd >= 0 ? request->body_fd_size : 0,
        .sink_fd = request->sink_fd,
        .on_sink = request->on_sink,
        .sink_ctx = request->sink_ctx,
    };
}

void http_stream_fini(struct http_stream *stream)
{
    free(stream->text);
    stream->text = NULL;
}

/* If a connection ends within the headers, libcurl reports an answer without a body. */
bool http_stream_receive_header(struct http_stream *stream, const char *line, size_t size)
{
    stream->header_size += size;
    stream->is_too_long = stream->header_size > HTTP_HEADER_MAX_BYTES;
    /* After a 1xx, more headers follow; lines after the body are trailers. */
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        stream->has_complete_header = false;
    else if (line[0] == '\r' || line[0] == '\n')
        stream->has_complete_header = true;
    return !stream->is_too_long;
}

static bool keep_text(struct http_stream *stream, const char *data, size_t size)
{
    if (size > HTTP_ANSWER_MAX_BYTES - stream->text_size) {
        stream->is_too_long = true;
        return false;
    }
    if (stream->text_size + size + 1 > stream->text_capacity) {
        stream->text_capacity = 2 * (stream->text_size + size + 1);
        stream->text = must_realloc(stream->text, stream->text_capacity);
    }
    memcpy(stream->text + stream->text_size, data, size);
    stream->text_size += size;
    stream->text[stream->text_size] = '\0';
    return true;
}

static bool sink_data(struct http_stream *stream, const char *data, size_t size, int64_t total)
{
    stream->has_local_error = durable_append(stream->sink_fd, data, size, &stream->error) != 0;
    if (stream->has_local_error)
        return false;
    stream->sink_size += (int64_t)size;
    if (!stream->on_sink || stream->on_sink(stream->sink_ctx, stream->sink_size, total))
        return true;
    error_set(&stream->error, ERROR_TEMPORARY, ECANCELED, "the transfer was stopped");
    stream->has_local_error = true;
    return false;
}

bool http_stream_receive(struct http_stream *stream, const char *data, size_t size, long status,
                         int64_t total)
{
    if (size == 0)
        return true;
    stream->last_byte_ms = mono_ms();
    return stream->sink_fd >= 0 && status / 100 == 2 ? sink_data(stream, data, size, total)
                                                     : keep_text(stream, data, size);
}

ssize_t http_stream_read_body(struct http_stream *stream, char *buffer, size_t capacity)
{
    int64_t left = stream->body_size - stream->body_at;
    size_t wanted = left < (int64_t)capacity ? (size_t)left : capacity;
    if (wanted == 0)
        return 0;
    ssize_t got = pread(stream->body_fd, buffer, wanted, stream->body_at);
    if (got > 0) {
        stream->last_byte_ms = mono_ms();
        stream->body_at += got;
        return got;
    }
    stream->has_local_error = true;
    if (got < 0)
        return error_errno(&stream->error, "cannot read the file to send");
    return error_set(&stream->error, ERROR_TEMPORARY, EIO, "the file shrank while it was sent");
}

bool http_stream_rewind(struct http_stream *stream, int64_t offset)
{
    if (offset < 0 || offset > stream->body_size)
        return false;
    stream->body_at = offset;
    return true;
}

void http_stream_move_body(struct http_stream *stream, struct http_answer *answer)
{
    answer->body = stream->text ? stream->text : must_strdup("");
    answer->body_size = stream->text_size;
    stream->text = NULL;
}
