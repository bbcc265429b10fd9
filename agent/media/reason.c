#include "agent/media/reason.h"

#include "lib/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- which line ------------------------------------------------------------------------------ */

static bool has_any(const char *line, const char *const words[])
{
    for (size_t i = 0; words[i]; i++)
        if (strstr(line, words[i]))
            return true;
    return false;
}

bool reason_is_telling(const char *line)
{
    static const char *const echoes[] = {
        "Last message repeated",
        "Conversion failed!",
        "Error while decoding stream",
        "Error submitting packet to decoder",
        "Error initializing output stream",
        "Error opening output file",
        "Error opening input file",
        "Error reinitializing filters",
        "Failed to inject frame into filter network",
        "Error while processing the decoded data",
        "Task finished with error code",
        "Terminating thread with return code",
        "Error while filtering",
        "Nothing was written into output file",
        "Could not find codec parameters",
        "Consider increasing the value for",
        "Press [q] to stop",
        NULL,
    };
    return line[strspn(line, " \t\r")] && !has_any(line, echoes);
}

bool reason_says_partial(const char *line)
{
    static const char *const words[] = {"File ended prematurely", ": partial file", NULL};
    return has_any(line, words);
}

/* "[h264 @ 0x55d0c8a3f2c0] ..." */
static const char *without_speaker(const char *line)
{
    while (line[0] == '[') {
        const char *end = strchr(line, ']');
        if (!end || !strstr(line, " @ 0x"))
            break;
        line = end + 1 + strspn(end + 1, " ");
    }
    return line;
}

static void keep(char line[REASON_LINE_BYTES], const char *text)
{
    text = without_speaker(text);
    size_t length = strnlen(text, REASON_LINE_BYTES);
    if (length == REASON_LINE_BYTES)
        for (length--; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80;)
            length--;
    for (size_t i = 0; i < length; i++)
        line[i] = iscntrl((unsigned char)text[i]) ? ' ' : text[i];
    while (length > 0 && line[length - 1] == ' ')
        length--;
    line[length] = '\0';
}

/* ---- what it means --------------------------------------------------------------------------- */

enum fault { FAULT_OF_FILE, FAULT_OF_NODE };

static const struct {
    const char *line;
    enum fault fault;
    int code;
    const char *words; /* NULL: the line itself */
} meanings[] = {
    {"moov atom not found", FAULT_OF_FILE, 0,
     "the file is truncated or damaged: its index is missing"},
    {"not on whitelist", FAULT_OF_FILE, 0,
     "the file cannot be read as a video: its format is not supported"},
    {"DRM protected", FAULT_OF_FILE, 0, "the file is encrypted"},
    {"Invalid data found when processing input", FAULT_OF_FILE, 0,
     "the file cannot be read as a video (Invalid data found when processing input)"},
    {"Decoder (codec", FAULT_OF_NODE, ENOEXEC, NULL},
    {"Decoding requested, but no decoder found", FAULT_OF_NODE, ENOEXEC, NULL},
    {"Unknown encoder", FAULT_OF_NODE, ENOEXEC, NULL},
    {"Unknown decoder", FAULT_OF_NODE, ENOEXEC, NULL},
    {"No such filter", FAULT_OF_NODE, ENOEXEC, NULL},
    {"Unrecognized option", FAULT_OF_NODE, ENOEXEC, NULL},
    {"error while loading shared libraries", FAULT_OF_NODE, ENOEXEC, NULL},
    {"Cannot allocate memory", FAULT_OF_NODE, ENOMEM, NULL},
    {"Too many open files", FAULT_OF_NODE, EMFILE, NULL},
};

/* A line with a known meaning ranks before one that is merely informative. */
static int rank(const char *line)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strstr(line, meanings[i].line))
            return reason_is_telling(line) ? 3 : 1;
    return reason_is_telling(line) ? 2 : line[strspn(line, " \t\r")] ? 1 : 0;
}

void reason_find_line(const char *log, size_t size, char line[REASON_LINE_BYTES])
{
    char text[2 * REASON_LINE_BYTES];
    int best = 0;
    line[0] = '\0';
    while (size > 0) {
        const char *end = memchr(log, '\n', size);
        size_t length = end ? (size_t)(end - log) : size;
        snprintf(text, sizeof text, "%.*s", (int)length, log);
        int found = rank(text);
        if (found > best || (found == 1 && best == 1)) {
            keep(line, text);
            best = found;
        }
        log += end ? length + 1 : length;
        size -= end ? length + 1 : length;
    }
}

void reason_read_line(int log_fd, int64_t from, char line[REASON_LINE_BYTES])
{
    TEXT(text) = must_malloc(REASON_LOG_BYTES);
    ssize_t size = pread(log_fd, text, REASON_LOG_BYTES, from);
    if (size <= 0) /* the log was started over (TRANSCODE_LOG_MAX_BYTES) */
        size = pread(log_fd, text, REASON_LOG_BYTES, 0);
    reason_find_line(text, size > 0 ? (size_t)size : 0, line);
}

int reason_of_line(const char *line, const char *otherwise, struct error *err)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (!strstr(line, meanings[i].line))
            continue;
        const char *words = meanings[i].words ? meanings[i].words : line;
        if (meanings[i].fault == FAULT_OF_FILE)
            return error_set(err, ERROR_PERMANENT, 0, "%s", words);
        return error_set(err, ERROR_TEMPORARY, meanings[i].code,
                         "this node is not capable of it: %s", words);
    }
    return error_set(err, ERROR_TEMPORARY, 0, "%s%s%s", otherwise, line[0] ? ": " : "", line);
}

/* Whether the line from start to end may be shown; its length without line breaks. */
static bool is_worth_showing(const char *line, size_t length, const char *secret)
{
    return length > 0 && !(secret && secret[0] && memmem(line, length, secret, strlen(secret)));
}

static size_t start_of_line(const char *log, size_t end)
{
    while (end > 0 && log[end - 1] != '\n' && log[end - 1] != '\r')
        end--;
    return end;
}

static void append_line(char *text, size_t used, const char *line, size_t length)
{
    text[used++] = '\n';
    for (size_t i = 0; i < length; i++)
        text[used++] = (unsigned char)line[i] < ' ' || line[i] == 0x7f ? ' ' : line[i];
    text[used] = '\0';
}

void reason_add_lines(const char *log, size_t size, const char *secret, char *text, size_t capacity)
{
    size_t free_bytes = capacity - strlen(text) - 1, from = size;
    /* From the end: where do the lines begin that fit? */
    for (size_t end = size, needed = 0; end > 0;) {
        size_t start = start_of_line(log, end), length = end - start;
        bool is_shown = is_worth_showing(log + start, length, secret);
        needed += is_shown ? length + 1 : 0;
        if (needed > free_bytes)
            break;
        from = is_shown ? start : from;
        end = start > 0 ? start - 1 : 0;
    }
    while (from < size) {
        size_t length = strcspn(log + from, "\r\n");
        length = length < size - from ? length : size - from;
        if (is_worth_showing(log + from, length, secret) && strlen(text) + length + 1 < capacity)
            append_line(text, strlen(text), log + from, length);
        from += length + 1;
    }
}
