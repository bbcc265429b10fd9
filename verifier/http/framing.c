#include "verifier/http/framing.h"

#include "verifier/base/number.h"

#include <string.h>
#include <strings.h>

/* Decoding the path would turn these into a separator, an end or another escape. */
static bool hides_something(const char *uri)
{
    static const char *const hidden[] = {"%00", "%2f", "%5c", "%25"};
    size_t length = strcspn(uri, "?");
    for (size_t at = 0; at + 3 <= length; at++)
        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
            if (strncasecmp(uri + at, hidden[i], 3) == 0)
                return true;
    return false;
}

void framing_init(struct framing *framing, const char *uri)
{
    *framing = (struct framing){.content_length = -1};
    framing->path_is_hidden = hides_something(uri);
    framing->target_end = uri + strlen(uri);
}

static bool is_token(const char *name, size_t size)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(marks, c)))
            return false;
    }
    return size > 0;
}

/* A bare CR ends a line for some servers; no other control character has a meaning here. */
static bool is_value(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
            return false;
    return true;
}

/* libmicrohttpd 0.9.75 appends a folded line to the header's name ("Transfer-Encodingchunked"). A
 * proxy in front of us would read it as framing, so no other name may begin like one. */
static bool begins_like_framing(const char *name)
{
    return strncasecmp(name, "Content-Length", strlen("Content-Length")) == 0 ||
           strncasecmp(name, "Transfer-Encoding", strlen("Transfer-Encoding")) == 0;
}

enum { LINE_END_BYTES = 2 };

void framing_note_head(struct framing *framing, const char *start, size_t size, const char *version)
{
    /* One overwritten space separates the target from the version. */
    framing->header_is_bad |= version != framing->target_end + 1;
    framing->line = version + strlen(version) + LINE_END_BYTES;
    framing->head_end = start + size;
}

/* The line before contains a NUL, does not end in CRLF, or is folded and was copied elsewhere. */
static bool begins_elsewhere(const struct framing *framing, const char *name)
{
    return framing->line && framing->line != name;
}

void framing_note_header(struct framing *framing, struct request *request, const char *name,
                         size_t name_size, const char *value, size_t value_size)
{
    bool is_good = is_token(name, name_size) && value && is_value(value, value_size);
    if (begins_elsewhere(framing, name) || !is_good) {
        framing->header_is_bad = true;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        framing->lengths++;
        framing->length = value;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->encoding = value;
    } else if (begins_like_framing(name)) {
        framing->header_is_bad = true;
    } else if (!request_set_header(request, name, value)) {
        /* A proxy in front of us may use the other value. */
        framing->twice = true;
    }
    if (framing->line)
        framing->line = value ? value + value_size + LINE_END_BYTES : name;
}

/* The head ends in one empty line after the last header. */
static bool ends_elsewhere(const struct framing *framing)
{
    return framing->line && framing->line + LINE_END_BYTES != framing->head_end;
}

/* The body's length must be given once and in one way. */
static bool is_bad(struct framing *framing)
{
    const char *length = framing->length, *encoding = framing->encoding;
    return framing->header_is_bad || framing->twice || framing->lengths + framing->encodings > 1 ||
           (framing->encodings && !encoding) ||
           (encoding && strcasecmp(encoding, "chunked") != 0) || (framing->lengths && !length) ||
           (length && !number_parse(length, &framing->content_length));
}

const char *framing_check(struct framing *framing)
{
    framing->header_is_bad |= ends_elsewhere(framing);
    framing->is_bad = is_bad(framing);
    return !framing->is_bad         ? NULL
           : framing->header_is_bad ? "A header contains a character that is not allowed."
           : framing->twice         ? "A header that may appear only once was sent twice."
                                    : "The body's length is given twice or in an unsupported form.";
}
