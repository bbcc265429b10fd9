#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "process.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Is `word` a whole word of the line, or (where it ends with `=`) the start of one? */
static bool has_word(const char *line, const char *word, size_t size)
{
    for (const char *at = line; (at = strstr(at, word)) != NULL; at++) {
        bool starts = at == line || at[-1] == ' ';
        bool ends = word[size - 1] == '=' || at[size] == ' ' || at[size] == '\0';
        if (starts && ends)
            return true;
    }
    return false;
}

static bool has_words(const char *line, const char *words)
{
    char word[LINE_BYTES];
    while (*words) {
        size_t size = strcspn(words, " ");
        if (size > 0) {
            snprintf(word, sizeof word, "%.*s", (int)size, words);
            if (!has_word(line, word, size))
                return false;
        }
        words += size + (words[size] == ' ');
    }
    return true;
}

/* How many lines match; the first is copied out. A line without its end yet is none. */
static int look(const char *path, const char *words, char line[LINE_BYTES])
{
    TEXT(text) = file_read(path);
    int count = 0;
    char *end;
    for (char *at = text; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        if (!has_words(at, words))
            continue;
        if (count++ == 0 && line)
            snprintf(line, LINE_BYTES, "%s", at);
    }
    return count;
}

bool log_find(const char *path, const char *words, char line[LINE_BYTES])
{
    return look(path, words, line) > 0;
}

int log_count(const char *path, const char *words)
{
    return look(path, words, NULL);
}

bool log_wait_until(const char *path, bool (*holds)(void *ctx), void *ctx, int64_t timeout_ms)
{
    enum { LOOK_MS = 500 };
    int64_t deadline = mono_ms() + timeout_ms;
    FD(watch) = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    cr_assert(watch >= 0 && inotify_add_watch(watch, path, IN_MODIFY) >= 0, "cannot watch %s",
              path);
    for (;;) {
        if (holds(ctx))
            return true;
        int64_t left_ms = deadline - mono_ms();
        if (left_ms <= 0)
            return false;
        struct pollfd changed = {.fd = watch, .events = POLLIN};
        poll(&changed, 1, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
        char events[4096];
        while (read(watch, events, sizeof events) > 0)
            ;
    }
}

struct wanted_line {
    const char *path, *words;
    char *line;
};

static bool is_there(void *ctx)
{
    const struct wanted_line *wanted = ctx;
    return log_find(wanted->path, wanted->words, wanted->line);
}

bool log_wait(const char *path, const char *words, int64_t timeout_ms, char line[LINE_BYTES])
{
    struct wanted_line wanted = {path, words, line};
    return log_wait_until(path, is_there, &wanted, timeout_ms);
}

bool line_value(const char *line, const char *key, char *value, size_t size)
{
    size_t key_size = strlen(key);
    for (const char *at = line; (at = strstr(at, key)) != NULL; at++) {
        if ((at != line && at[-1] != ' ') || at[key_size] != '=')
            continue;
        at += key_size + 1;
        bool is_quoted = *at == '"';
        at += is_quoted;
        snprintf(value, size, "%.*s", (int)strcspn(at, is_quoted ? "\"" : " "), at);
        return true;
    }
    return false;
}
