#include "agent/step/upload_record.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, HEX_DIGITS = UPLOAD_SHA_BYTES * 2, RECORD_NAME_BYTES = 40 };

static void record_name(const struct upload_rendition *rendition, char name[RECORD_NAME_BYTES])
{
    snprintf(name, RECORD_NAME_BYTES, "uploads-%s.sha256",
             tailslate_quality_name(rendition->quality));
}

static int digit_value(char digit)
{
    const char *const digits = "0123456789abcdef";
    const char *found = digit ? strchr(digits, digit) : NULL;
    return found ? (int)(found - digits) : -1;
}

static bool sha_parse(const char *hex, unsigned char sha[UPLOAD_SHA_BYTES])
{
    for (int i = 0; i < UPLOAD_SHA_BYTES; i++) {
        int high = digit_value(hex[2 * i]), low = high < 0 ? -1 : digit_value(hex[2 * i + 1]);
        if (low < 0)
            return false;
        sha[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

bool upload_is_segment_name(const char *name)
{
    size_t size = strlen(name);
    if (size < 5 || size > NAME_MAX_BYTES || name[0] == '.' || strstr(name, ".."))
        return false;
    for (const char *at = name; *at; at++)
        if ((unsigned char)*at <= ' ' || strchr("/\\%?#\"", *at))
            return false;
    return strcmp(name + size - 4, ".m4s") == 0 || strcmp(name + size - 4, ".mp4") == 0;
}

struct upload_file *upload_file_find(const struct upload_rendition *rendition, const char *name)
{
    /* From the end: the last entry is the most likely one. */
    for (size_t i = rendition->count; i-- > 0;)
        if (strcmp(rendition->files[i].name, name) == 0)
            return &rendition->files[i];
    return NULL;
}

struct upload_file *upload_file_get(struct upload_rendition *rendition, const char *name)
{
    struct upload_file *known = upload_file_find(rendition, name);
    if (known)
        return known;
    if (rendition->count == UPLOAD_FILES_MAX)
        return NULL;
    if ((rendition->count & (rendition->count - 1)) == 0) {
        size_t capacity = rendition->count ? rendition->count * 2 : 1;
        rendition->files = must_realloc(rendition->files, capacity * sizeof *rendition->files);
    }
    struct upload_file *file = &rendition->files[rendition->count++];
    *file = (struct upload_file){.name = must_strdup(name)};
    return file;
}

void upload_file_done(struct upload_rendition *rendition, struct upload_file *file,
                      const char hex[HASH_HEX_BYTES])
{
    must(sha_parse(hex, file->sha));
    rendition->uploaded += !file->uploaded;
    file->uploaded = true;
    rendition->changed = true;
}

void upload_file_undone(struct upload_rendition *rendition, struct upload_file *file)
{
    rendition->uploaded -= file->uploaded;
    file->uploaded = false;
    rendition->changed = true;
}

bool upload_file_has(const struct upload_file *file, const char hex[HASH_HEX_BYTES])
{
    unsigned char sha[UPLOAD_SHA_BYTES];
    return file->uploaded && sha_parse(hex, sha) && memcmp(sha, file->sha, sizeof sha) == 0;
}

/* "<hex>  <name>"; other lines are not ours and are skipped. */
static void take_line(struct upload_rendition *rendition, char *line)
{
    unsigned char sha[UPLOAD_SHA_BYTES];
    if (strlen(line) <= HEX_DIGITS + 2 || !sha_parse(line, sha) ||
        !upload_is_segment_name(line + HEX_DIGITS + 2))
        return;
    struct upload_file *file = upload_file_get(rendition, line + HEX_DIGITS + 2);
    if (!file)
        return;
    memcpy(file->sha, sha, sizeof sha);
    rendition->uploaded += !file->uploaded;
    file->uploaded = true;
}

int upload_record_read(int dir, struct upload_rendition *rendition, struct error *err)
{
    char name[RECORD_NAME_BYTES];
    TEXT(text) = NULL;
    size_t size;
    record_name(rendition, name);
    if (durable_read(dir, name, UPLOAD_RECORD_MAX_BYTES, &text, &size, err) < 0)
        return err->class == ERROR_PERMANENT ? 0 : -1; /* an invalid list costs bandwidth */
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        take_line(rendition, line);
    }
    return 0;
}

static char *print(const struct upload_rendition *rendition, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    must(out);
    for (size_t i = 0; i < rendition->count; i++) {
        const struct upload_file *file = &rendition->files[i];
        if (!file->uploaded)
            continue;
        for (int j = 0; j < UPLOAD_SHA_BYTES; j++)
            fprintf(out, "%02x", file->sha[j]);
        fprintf(out, "  %s\n", file->name);
    }
    must(fclose(out) == 0);
    return text;
}

int upload_record_write(int dir, struct upload_rendition *rendition, struct error *err)
{
    char name[RECORD_NAME_BYTES];
    size_t size;
    record_name(rendition, name);
    TEXT(text) = print(rendition, &size);
    rendition->written_ms = mono_ms();
    if (durable_write(dir, name, text, size, err) < 0)
        return -1;
    rendition->changed = false;
    return 0;
}

int upload_record_forget(int dir, struct upload_rendition *rendition, struct error *err)
{
    char name[RECORD_NAME_BYTES];
    record_name(rendition, name);
    for (size_t i = 0; i < rendition->count; i++)
        rendition->files[i].uploaded = false;
    rendition->uploaded = 0;
    rendition->changed = false;
    return durable_unlink(dir, name, err);
}

void upload_record_fini(struct upload_rendition *rendition)
{
    for (size_t i = 0; i < rendition->count; i++)
        free(rendition->files[i].name);
    free(rendition->files);
    rendition->files = NULL;
    rendition->count = rendition->next = rendition->uploaded = 0;
}
