#include "settings.h"

#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>

static struct setting *find(struct settings *settings, const char *group, const char *name)
{
    for (size_t i = 0; i < settings->count; i++) {
        struct setting *setting = &settings->entries[i];
        if (strcmp(setting->group, group) == 0 && strcmp(setting->name, name) == 0)
            return setting;
    }
    cr_assert(settings->count < SETTINGS_MAX);
    struct setting *setting = &settings->entries[settings->count++];
    snprintf(setting->group, sizeof setting->group, "%s", group);
    snprintf(setting->name, sizeof setting->name, "%s", name);
    return setting;
}

void settings_set(struct settings *settings, const char *key, const char *value)
{
    char group[32];
    size_t size = strcspn(key, ".");
    snprintf(group, sizeof group, "%.*s", (int)size, key);
    struct setting *setting = find(settings, group, key + size + 1);
    snprintf(setting->value, sizeof setting->value, "%s", value);
}

void settings_set_text(struct settings *settings, const char *key, const char *text)
{
    char value[PATH_BYTES];
    snprintf(value, sizeof value, "\"%s\"", text);
    settings_set(settings, key, value);
}

void settings_write(const struct settings *settings, const char *path)
{
    STREAM(file) = fopen(path, "we");
    cr_assert(file, "cannot write %s", path);
    for (size_t i = 0; i < settings->count; i++) {
        const char *group = settings->entries[i].group;
        bool is_done = false;
        for (size_t j = 0; j < i && !is_done; j++)
            is_done = strcmp(settings->entries[j].group, group) == 0;
        if (is_done)
            continue;
        fprintf(file, "%s: {\n", group);
        for (size_t j = i; j < settings->count; j++)
            if (strcmp(settings->entries[j].group, group) == 0)
                fprintf(file, "    %s = %s;\n", settings->entries[j].name,
                        settings->entries[j].value);
        fprintf(file, "};\n");
    }
}
