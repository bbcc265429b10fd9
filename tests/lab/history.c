#include "history.h"

#include "base/clock.h"
#include "lib/cleanup.h"

#include <pthread.h>
#include <stdlib.h>

struct history {
    FILE *file;
    pthread_mutex_t lock;
};

struct history *history_open(const char *path)
{
    struct history *history = must_calloc(1, sizeof *history);
    history->file = fopen(path, "we");
    must(history->file);
    pthread_mutex_init(&history->lock, NULL);
    return history;
}

void history_close(struct history *history)
{
    must(fclose(history->file) == 0);
    pthread_mutex_destroy(&history->lock);
    free(history);
}

struct json *history_line(const char *event)
{
    struct json *line = json_new_object();
    json_set_text(line, "event", event);
    json_set_int(line, "at_us", wall_us());
    return line;
}

void history_write(struct history *history, struct json *owned_line)
{
    TEXT(text) = json_print(owned_line);
    json_free(owned_line);
    pthread_mutex_lock(&history->lock);
    must(fprintf(history->file, "%s\n", text) > 0 && fflush(history->file) == 0);
    pthread_mutex_unlock(&history->lock);
}
