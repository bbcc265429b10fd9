#include "agent/media/encoders_file.h"

#include "agent/media/machine.h"
#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { BOOT_ID_BYTES = 64 };

/* ---- the key --------------------------------------------------------------------------------- */

static void add_boot(struct hash *hash)
{
    char boot[BOOT_ID_BYTES];
    FD(fd) = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, boot, sizeof boot) : -1;
    if (size > 0)
        hash_update(hash, boot, (size_t)size);
}

static void add_text(struct hash *hash, const char *text)
{
    hash_update(hash, text, strlen(text) + 1);
}

static void add_program(struct hash *hash, const char *program)
{
    struct stat status;
    struct error ignored;
    TEXT(path) = tool_locate(program, &ignored);
    if (!path || stat(path, &status) < 0)
        return;
    TEXT(file) = must_printf("%s %llu %lld %lld.%09ld", path, (unsigned long long)status.st_ino,
                             (long long)status.st_size, (long long)status.st_mtim.tv_sec,
                             status.st_mtim.tv_nsec);
    add_text(hash, file);
}

void encoders_key(const struct config *config, char key[HASH_HEX_BYTES])
{
    struct gpu gpus[GPU_MAX];
    struct hash *hash = hash_new();
    size_t count = machine_list_gpus(gpus);
    add_text(hash, TAILSLATE_VERSION);
    add_boot(hash);
    add_program(hash, config->transcode.ffmpeg);
    add_text(hash, config->transcode.device);
    add_text(hash, config->transcode.preset);
    for (size_t i = 0; i < count; i++) {
        add_text(hash, gpus[i].path);
        add_text(hash, gpus[i].may_use ? "yes" : "no");
    }
    hash_hex(hash, key);
    hash_free(hash);
}

/* ---- the results ----------------------------------------------------------------------------- */

static void take_text(const struct json *root, const char *key, char *text, size_t size)
{
    const char *found;
    text[0] = '\0';
    if (json_get_text(root, key, size - 1, &found) == JSON_FOUND)
        snprintf(text, size, "%s", found);
}

static void take(const struct json *root, struct encoders *found)
{
    *found = (struct encoders){.working = 0};
    take_text(root, "key", found->key, sizeof found->key);
    take_text(root, "ffmpeg_version", found->version, sizeof found->version);
    take_text(root, "device", found->device, sizeof found->device);
    take_text(root, "gpu", found->gpu, sizeof found->gpu);
    take_text(root, "driver", found->driver, sizeof found->driver);
    json_get_bool(root, "tone_mapping", &found->can_tone_map);
    json_get_bool(root, "incomplete", &found->is_incomplete);
    const struct json *failing = json_get(root, "failing");
    for (enum encoder_id id = 0; id < ENCODER_COUNT; id++)
        take_text(failing, encoder_name(id), found->reasons[id], ENCODERS_REASON_BYTES);
    const struct json *working = json_get(root, "working");
    for (const struct json *name = json_first(working); name; name = json_next(name)) {
        enum encoder_id id = json_text(name) ? encoder_of_name(json_text(name)) : ENCODER_COUNT;
        if (id != ENCODER_COUNT)
            found->working |= 1u << id;
    }
}

int encoders_load(int state_dir, const struct config *config, struct encoders *found,
                  struct error *err)
{
    size_t size;
    char key[HASH_HEX_BYTES];
    TEXT(text) = NULL;
    if (durable_read(state_dir, ENCODERS_FILE, ENCODERS_FILE_MAX_BYTES, &text, &size, err) < 0)
        return -1;
    JSON(root) = json_parse(text, size, err);
    if (!root)
        return error_set(err, ERROR_TEMPORARY, ENOENT, "%s is damaged", ENCODERS_FILE);
    take(root, found);
    encoders_key(config, key);
    if (strcmp(key, found->key) != 0)
        return error_set(err, ERROR_TEMPORARY, ENOENT, "%s was made with another ffmpeg",
                         ENCODERS_FILE);
    return 0;
}

int encoders_save(int state_dir, const struct encoders *found, struct error *err)
{
    JSON(root) = json_new_object();
    struct json *working = json_new_array(), *failing = json_new_object();
    json_set_text(root, "key", found->key);
    json_set_text(root, "ffmpeg_version", found->version);
    json_set_text(root, "device", found->device);
    json_set_text(root, "gpu", found->gpu);
    json_set_text(root, "driver", found->driver);
    json_set_bool(root, "tone_mapping", found->can_tone_map);
    json_set_bool(root, "incomplete", found->is_incomplete);
    for (enum encoder_id id = 0; id < ENCODER_COUNT; id++)
        if (found->working & 1u << id)
            json_append_text(working, encoder_name(id));
        else
            json_set_text(failing, encoder_name(id), found->reasons[id]);
    json_set(root, "working", working);
    json_set(root, "failing", failing);
    TEXT(text) = json_print_pretty(root);
    return durable_write_volatile(state_dir, ENCODERS_FILE, text, strlen(text), err);
}

/* ---- a failure in a real job ----------------------------------------------------------------- */

int encoders_note_failure(int state_dir, enum encoder_id id, const char *reason, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    wall_format(wall_us(), now);
    JSON(root) = json_new_object();
    json_set_text(root, "encoder", encoder_name(id));
    json_set_text(root, "at", now);
    json_set_text(root, "reason", reason);
    TEXT(text) = json_print(root);
    return durable_write_volatile(state_dir, ENCODERS_BAD, text, strlen(text), err);
}

enum encoder_id encoders_failed_lately(int state_dir, char reason[ENCODERS_REASON_BYTES])
{
    size_t size;
    struct error ignored;
    TEXT(text) = NULL;
    char name[32], at[WALL_TEXT_BYTES];
    int64_t at_us;
    if (durable_read(state_dir, ENCODERS_BAD, ENCODERS_FILE_MAX_BYTES, &text, &size, &ignored) < 0)
        return ENCODER_COUNT;
    JSON(root) = json_parse(text, size, &ignored);
    take_text(root, "encoder", name, sizeof name);
    take_text(root, "at", at, sizeof at);
    take_text(root, "reason", reason, ENCODERS_REASON_BYTES);
    if (!wall_parse(at, &at_us))
        return ENCODER_COUNT;
    /* A time in the future means that the clock was corrected; it must not prolong the pause. */
    int64_t age_us = wall_us() - at_us;
    return age_us >= 0 && age_us < (int64_t)ENCODERS_PAUSE_MS * 1000 ? encoder_of_name(name)
                                                                     : ENCODER_COUNT;
}
