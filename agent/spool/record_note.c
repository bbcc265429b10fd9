/* What stands beside the state of a record (record.h). */
#include "record.h"

#include "tailslate/cleanup.h"
#include "tailslate/clock.h"
#include "tailslate/durable.h"
#include "tailslate/json.h"

#include <stdio.h>
#include <string.h>

#define FAULT_NAME   "fault.json"
#define SILENCE_NAME "silence.json"

static void write_note(int dir, const char *name, struct json *root)
{
    struct error ignored;
    TEXT(text) = json_print(root);
    (void)durable_write_volatile(dir, name, text, strlen(text), &ignored);
}

void record_note_waiting(int dir, int64_t need_bytes)
{
    struct error ignored;
    if (need_bytes == 0) {
        if (durable_exists(dir, RECORD_WAITING))
            (void)durable_unlink(dir, RECORD_WAITING, &ignored);
        return;
    }
    JSON(root) = json_new_object();
    json_set_text(root, "for", "disk");
    json_set_int(root, "need_bytes", need_bytes);
    write_note(dir, RECORD_WAITING, root);
}

bool record_is_waiting(int dir)
{
    return durable_exists(dir, RECORD_WAITING);
}

void record_note_fault(int dir, const char *reason)
{
    JSON(root) = json_new_object();
    json_set_text(root, "reason", reason);
    write_note(dir, FAULT_NAME, root);
}

void record_read_fault(int dir, char reason[256])
{
    TEXT(text) = NULL;
    size_t size;
    struct error ignored;
    const char *found;
    reason[0] = '\0';
    if (durable_read(dir, FAULT_NAME, RECORD_FILE_MAX_BYTES, &text, &size, &ignored) != 0)
        return;
    JSON(root) = json_parse(text, size, &ignored);
    if (json_get_text(root, "reason", RECORD_FILE_MAX_BYTES, &found) == JSON_FOUND)
        snprintf(reason, 256, "%s", found);
}

bool record_is_fault(int dir)
{
    return durable_exists(dir, FAULT_NAME);
}

void record_note_silence(int dir, const char *token, int64_t since_us)
{
    char since[WALL_TEXT_BYTES];
    wall_format(since_us, since);
    JSON(root) = json_new_object();
    json_set_text(root, "token", token);
    json_set_text(root, "since", since);
    write_note(dir, SILENCE_NAME, root);
}

bool record_read_silence(int dir, const char *token, int64_t *since_us)
{
    TEXT(text) = NULL;
    size_t size;
    struct error ignored;
    const char *of, *since;
    if (durable_read(dir, SILENCE_NAME, RECORD_FILE_MAX_BYTES, &text, &size, &ignored) != 0)
        return false;
    JSON(root) = json_parse(text, size, &ignored);
    return json_get_text(root, "token", TOKEN_BYTES - 1, &of) == JSON_FOUND &&
           strcmp(of, token) == 0 &&
           json_get_text(root, "since", WALL_TEXT_BYTES - 1, &since) == JSON_FOUND &&
           wall_parse(since, since_us);
}
