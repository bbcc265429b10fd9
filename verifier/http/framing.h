/* framing: whether every server that parses this request's head sees the same request.
 *
 * Refuses: a body whose length is given twice or in an unknown way (one server's body is another
 * one's next request); header names with spaces and values with NUL (C and HTTP disagree about the
 * end of a string); lines that end in a bare LF or are folded (servers disagree about the end of a
 * line); a second value of a header that is read here; a slash, NUL or percent sign encoded in the
 * path. */
#ifndef VERIFIER_FRAMING_H
#define VERIFIER_FRAMING_H

#include "verifier/http/request.h"

struct framing {
    bool path_is_hidden; /* the path encodes a separator, an end or a percent sign */
    int lengths, encodings;
    const char *length, *encoding; /* borrowed */
    bool header_is_bad, is_bad;
    bool twice;                               /* a header that may appear only once */
    const char *target_end, *line, *head_end; /* of framing_note_head */
    int64_t content_length;                   /* -1: none given */
};

/* uri: as received, not decoded; borrowed, like all strings here, until framing_check. */
void framing_init(struct framing *framing, const char *uri);
/* Before the headers: the request's head as it lies in memory, where each CRLF was overwritten by
 * two NUL; version: the last word of its first line. Then each line must begin where the one before
 * has ended. Not for a library that refuses bare LF and NUL by itself. */
void framing_note_head(struct framing *framing, const char *start, size_t size,
                       const char *version);
/* Each header once and in its order. Copies those that are read here into the request. */
void framing_note_header(struct framing *framing, struct request *request, const char *name,
                         size_t name_size, const char *value, size_t value_size);
/* After the headers. NULL: the head is unambiguous; otherwise what is wrong with it. */
const char *framing_check(struct framing *framing);

#endif
