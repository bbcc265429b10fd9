#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Bytes that fields never use, so that a truncated line still ends properly. */
enum { TAIL_BYTES = 24, BODY_BYTES = LOG_LINE_BYTES - TAIL_BYTES, UNIT_BYTES = 8 };

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

static atomic_int threshold = LOG_INFO;
static atomic_bool writes_json = false;
static _Atomic(const struct log_field *) always = NULL;

struct line {
    char text[LOG_LINE_BYTES];
    size_t used;
    bool is_json, is_cut;
};

bool log_configure(const char *level, const char *format)
{
    bool is_json = strcmp(format, "json") == 0;
    if (!is_json && strcmp(format, "text") != 0)
        return false;
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcmp(level, level_names[i]) == 0) {
            atomic_store(&threshold, i);
            atomic_store(&writes_json, is_json);
            return true;
        }
    }
    return false;
}

void log_always(const struct log_field *fields)
{
    atomic_store(&always, fields);
}

/* All of it or nothing; after the first part that does not fit nothing more is added. */
static bool put(struct line *line, const char *text, size_t size)
{
    if (line->is_cut || size > BODY_BYTES - line->used) {
        line->is_cut = true;
        return false;
    }
    memcpy(line->text + line->used, text, size);
    line->used += size;
    return true;
}

/* The length of the printable UTF-8 character at text, 0 if there is none: control bytes (including
 * C1 controls, which a terminal obeys), overlong forms, surrogates, incomplete sequences. */
static size_t character_size(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] >= ' ' && text[0] != 0x7f;
    size_t size = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool is_c1 = text[0] == 0xc2 && text[1] < 0xa0;
    bool is_overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool is_surrogate = text[0] == 0xed && text[1] >= 0xa0;
    bool is_too_high = text[0] == 0xf4 && text[1] >= 0x90;
    return is_c1 || is_overlong || is_surrogate || is_too_high ? 0 : size;
}

/* One character or one invalid byte, as it appears between quotes. Returns the bytes read. */
static size_t put_unit(struct line *line, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t size = character_size(at);
    if (size == 1 && (*text == '"' || *text == '\\')) {
        const char escaped[] = {'\\', *text};
        return put(line, escaped, sizeof escaped) ? 1 : 0;
    }
    if (size > 0)
        return put(line, text, size) ? size : 0;
    char escaped[UNIT_BYTES];
    int length = snprintf(escaped, sizeof escaped, line->is_json ? "\\u%04x" : "\\x%02x", *at);
    return put(line, escaped, (size_t)length) ? 1 : 0;
}

static bool needs_quotes(const char *text)
{
    if (*text == '\0')
        return true;
    for (const char *at = text; *at;) {
        size_t size = character_size((const unsigned char *)at);
        if (size == 0 || strchr(" =\"\\", *at))
            return true;
        at += size;
    }
    return false;
}

static void put_text(struct line *line, const char *text)
{
    bool is_quoted = line->is_json || needs_quotes(text);
    if (is_quoted && !put(line, "\"", 1))
        return;
    while (*text) {
        size_t taken = put_unit(line, text);
        if (taken == 0)
            break;
        text += taken;
    }
    if (is_quoted)
        line->text[line->used++] = '"'; /* one of the TAIL_BYTES where the line is cut */
}

static void put_field(struct line *line, const struct log_field *field)
{
    char head[80], number[24] = "";
    int length = snprintf(head, sizeof head, line->is_json ? "%s\"%s\":" : "%s%s=",
                          line->used == 0 ? (line->is_json ? "{" : "")
                          : line->is_json ? ","
                                          : " ",
                          field->key);
    int digits = field->text ? 2 : snprintf(number, sizeof number, "%" PRId64, field->number);
    /* A key without its value is not a field. */
    if (length >= (int)sizeof head || (size_t)length + (size_t)digits > BODY_BYTES - line->used)
        line->is_cut = true;
    if (!put(line, head, (size_t)length))
        return;
    if (field->text)
        put_text(line, field->text);
    else
        put(line, number, (size_t)digits);
}

static void put_fields(struct line *line, const struct log_field *fields)
{
    for (; fields && fields->key && !line->is_cut; fields++)
        put_field(line, fields);
}

static void format_now(char text[32])
{
    struct timespec now;
    struct tm utc;
    char seconds[24];
    clock_gettime(CLOCK_REALTIME, &now);
    if (!gmtime_r(&now.tv_sec, &utc) ||
        strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        seconds[0] = '\0';
    snprintf(text, 32, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000) % 1000);
}

static void write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* a log that cannot be written loses the line but never stops the program */
        text += written;
        size -= (size_t)written;
    }
}

/* If the reader of stderr is gone, SIGPIPE must not kill us; only the signal of this write is
 * discarded. */
static void write_without_sigpipe(const char *text, size_t size)
{
    sigset_t pipe_set, old, pending;
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    errno = 0;
    write_all(text, size);
    if (errno == EPIPE && !was_pending)
        while (sigtimedwait(&pipe_set, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if ((int)level < atomic_load(&threshold))
        return;
    int saved_errno = errno;
    struct line line;
    line.used = 0;
    line.is_cut = false;
    line.is_json = atomic_load(&writes_json);

    char now[32];
    format_now(now);
    put_fields(&line, (struct log_field[]){LOG_TEXT("time", now),
                                           LOG_TEXT("level", level_names[level]),
                                           LOG_TEXT("event", event),
                                           {0}});
    put_fields(&line, atomic_load(&always));
    put_fields(&line, fields);

    const char *cut = !line.is_cut ? "" : line.is_json ? ",\"cut\":true" : " cut=true";
    line.used += (size_t)snprintf(line.text + line.used, sizeof line.text - line.used, "%s%s\n",
                                  cut, line.is_json ? "}" : "");
    write_without_sigpipe(line.text, line.used);
    errno = saved_errno;
}
