#include "agent/spool/record_note.h"

#include "agent/spool/record.h"
#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

bool record_read_need(int dir, int64_t *need_bytes, int64_t *since_us)
{
    TEXT(text) = NULL;
    size_t size;
    struct stat status;
    struct error ignored;
    if (fstatat(dir, RECORD_WAITING, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        durable_read(dir, RECORD_WAITING, RECORD_FILE_MAX_BYTES, &text, &size, &ignored) != 0)
        return false;
    JSON(root) = json_parse(text, size, &ignored);
    *need_bytes = 0;
    json_get_int(root, "need_bytes", 0, INT64_MAX, need_bytes);
    *since_us = (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
    return true;
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
    return json_get_text(root, "token", TAILSLATE_TOKEN_BYTES - 1, &of) == JSON_FOUND &&
           strcmp(of, token) == 0 &&
           json_get_text(root, "since", WALL_TEXT_BYTES - 1, &since) == JSON_FOUND &&
           wall_parse(since, since_us);
}

/* Do not cut within a UTF-8 sequence: the file must be JSON. */
static int cut_length(const char *text, size_t max)
{
    size_t length = strnlen(text, max);
    while (length > 0 && text[length] && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    return (int)length;
}

bool record_read_refusal(int dir, struct record_refusal *refusal)
{
    TEXT(text) = NULL;
    size_t size;
    struct error ignored;
    const char *since, *at, *reason;
    if (durable_read(dir, RECORD_REFUSED, RECORD_FILE_MAX_BYTES, &text, &size, &ignored) != 0)
        return false;
    JSON(root) = json_parse(text, size, &ignored);
    if (json_get_text(root, "since", WALL_TEXT_BYTES - 1, &since) != JSON_FOUND ||
        json_get_text(root, "at", WALL_TEXT_BYTES - 1, &at) != JSON_FOUND ||
        json_get_text(root, "reason", sizeof refusal->reason - 1, &reason) != JSON_FOUND ||
        !wall_parse(since, &refusal->since_us) || !wall_parse(at, &refusal->at_us))
        return false;
    memcpy(refusal->reason, reason, strlen(reason) + 1);
    return true;
}

void record_note_refusal(int dir, const char *reason, struct record_refusal *noted)
{
    struct error ignored;
    struct record_refusal former;
    char since[WALL_TEXT_BYTES], at[WALL_TEXT_BYTES];
    noted->at_us = noted->since_us = wall_us();
    if (record_read_refusal(dir, &former) && former.since_us < noted->at_us)
        noted->since_us = former.since_us;
    snprintf(noted->reason, sizeof noted->reason, "%.*s", cut_length(reason, 255), reason);
    wall_format(noted->since_us, since);
    wall_format(noted->at_us, at);
    JSON(root) = json_new_object();
    json_set_text(root, "since", since);
    json_set_text(root, "at", at);
    json_set_text(root, "reason", noted->reason);
    TEXT(text) = json_print(root);
    /* Durable, although it holds no work: days are counted from it. */
    (void)durable_write(dir, RECORD_REFUSED, text, strlen(text), &ignored);
}

void record_forget_refusal(int dir)
{
    struct error ignored;
    if (durable_exists(dir, RECORD_REFUSED))
        (void)durable_unlink(dir, RECORD_REFUSED, &ignored);
}
