#include "agent/media/target.h"

#include "lib/cleanup.h"
#include "lib/durable.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAG "\n#EXT-X-TARGETDURATION:"

char *target_replace(const char *text, int64_t target_s)
{
    const char *tag = strstr(text, TAG);
    if (!tag)
        return NULL;
    const char *number = tag + strlen(TAG);
    const char *rest = number + strcspn(number, "\r\n");
    TEXT(said) = must_printf("%.*s", (int)(rest - number), number);
    TEXT(wanted) = must_printf("%lld", (long long)target_s);
    if (strcmp(said, wanted) == 0)
        return NULL;
    return must_printf("%.*s%s%s", (int)(number - text), text, wanted, rest);
}

static int write_one(int output, enum tailslate_quality home, const char *name, int64_t target_s,
                     struct error *err)
{
    TEXT(text) = NULL;
    size_t size;
    FD(directory) = openat(output, tailslate_quality_name(home),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_errno(err, "%s", tailslate_quality_name(home));
    if (durable_read(directory, name, PLAYLIST_MAX_BYTES, &text, &size, err) < 0)
        return -1;
    TEXT(better) = target_replace(text, target_s);
    return better ? durable_write(directory, name, better, strlen(better), err) : 0;
}

int target_write(int output, const struct check *check, struct error *err)
{
    char name[AUDIO_FILE_BYTES];
    for (size_t i = 0; i < check->count; i++)
        if (write_one(output, check->renditions[i].plan.quality, LADDER_PLAYLIST, check->target_s,
                      err) < 0)
            return -1;
    for (size_t i = 0; i < check->audio_count; i++) {
        snprintf(name, sizeof name, AUDIO_PLAYLIST, check->audio[i].number);
        if (write_one(output, check->audio[i].home, name, check->target_s, err) < 0)
            return -1;
    }
    return 0;
}
