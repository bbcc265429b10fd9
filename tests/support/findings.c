#include "findings.h"

#include "agent/media/encoders_file.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct keys {
    char of_agent[HASH_HEX_BYTES], of_ffmpeg[HASH_HEX_BYTES];
};

/* False: nothing is lent to this agent. */
static bool find_keys(const struct rig *rig, struct keys *keys)
{
    static struct config config;
    struct error ignored; /* such an agent does not start */
    TEXT(path) = rig_path(rig, "agent.cfg");
    if (agent_config_read(path, &config, &ignored) != 0)
        return false;
    if (strcmp(config.transcode.ffmpeg, "ffmpeg") != 0 && !rig->probes_by_ffmpeg)
        return false;
    encoders_key(&config, keys->of_agent);
    snprintf(config.transcode.ffmpeg, sizeof config.transcode.ffmpeg, "ffmpeg");
    encoders_key(&config, keys->of_ffmpeg);
    return true;
}

/* Copies the file with one key in the place of the other. */
static void copy(const char *from, const char *old_key, const char *to, const char *new_key)
{
    TEXT(text) = file_read(from);
    TEXT(part) = must_printf("%s.%d", to, (int)getpid());
    char *key = strstr(text, old_key);
    if (!key)
        return;
    memcpy(key, new_key, strlen(new_key));
    file_write(part, text, 0600);
    cr_assert(rename(part, to) == 0);
}

static char *kept_path(const struct keys *keys)
{
    TEXT(name) = must_printf("encoders-%.16s.json", keys->of_ffmpeg);
    return media_beside(name);
}

void findings_lend(const struct rig *rig)
{
    struct keys keys;
    if (!find_keys(rig, &keys))
        return;
    TEXT(kept) = kept_path(&keys);
    TEXT(lent) = rig_path(rig, "agent/%s", ENCODERS_FILE);
    TEXT(there) = file_read(lent);
    if (!strstr(there, keys.of_agent))
        copy(kept, keys.of_ffmpeg, lent, keys.of_agent);
}

void findings_keep(const struct rig *rig)
{
    struct keys keys;
    if (!find_keys(rig, &keys))
        return;
    TEXT(kept) = kept_path(&keys);
    TEXT(found) = rig_path(rig, "agent/%s", ENCODERS_FILE);
    if (access(kept, F_OK) != 0)
        copy(found, keys.of_agent, kept, keys.of_ffmpeg);
}
