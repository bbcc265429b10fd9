#include "base/config.h"

#include "base/config_file.h"
#include "base/config_value.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <libconfig.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum {
    NAME_BYTES = 96,  /* "group.name" and TAILSLATE_GROUP_NAME */
    FOUND_BYTES = 96, /* the value found, truncated */
    TYPO_MAX = 3,     /* largest edit distance of a suggested name */
};

#define ENVIRONMENT_PREFIX "TAILSLATE_"

struct table {
    const struct config_key *keys;
    size_t count;
    struct config_value *values; /* one per key */
};

static int take_fallbacks(const struct table *table, struct error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        char where[NAME_BYTES];
        snprintf(where, sizeof where, "default of %s.%s", key->group, key->name);
        if (!config_value_take_fallback(key, &table->values[i])) {
            config_value_refuse(key, where, key->fallback, err);
            err->class = ERROR_BUG;
            return -1;
        }
    }
    return 0;
}

struct suggestion {
    const char *unknown;
    size_t edits;
    char name[NAME_BYTES];
};

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* Levenshtein's distance, one row at a time. */
static size_t edit_distance(const char *from, const char *to)
{
    size_t row[NAME_BYTES];
    size_t size = strlen(to);
    if (size >= NAME_BYTES)
        return SIZE_MAX;
    for (size_t i = 0; i <= size; i++)
        row[i] = i;
    for (size_t line = 1; *from; from++, line++) {
        size_t diagonal = row[0];
        row[0] = line;
        for (size_t i = 1; i <= size; i++) {
            size_t replaced = diagonal + (*from != to[i - 1]);
            diagonal = row[i];
            row[i] = least(replaced, least(row[i], row[i - 1]) + 1);
        }
    }
    return row[size];
}

static void consider(struct suggestion *best, const char *name, size_t edits)
{
    if (edits > TYPO_MAX || edits * 2 > strlen(best->unknown) ||
        (best->name[0] && edits >= best->edits))
        return;
    best->edits = edits;
    snprintf(best->name, sizeof best->name, "%s", name);
}

static int unknown(const struct suggestion *best, const char *where, const char *what,
                   struct error *err)
{
    if (best->name[0])
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s: unknown %s (did you mean %s?)", where,
                         what, best->name);
    return error_set(err, ERROR_PERMANENT, EINVAL, "%s: unknown %s", where, what);
}

static void full_name(const struct config_key *key, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%s.%s", key->group, key->name);
}

static void variable_name(const struct config_key *key, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, ENVIRONMENT_PREFIX "%s_%s", key->group, key->name);
    for (; *name; name++)
        if (*name >= 'a' && *name <= 'z')
            *name = (char)(*name - 'a' + 'A');
}

static bool is_group(const struct table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->keys[i].group, name) == 0)
            return true;
    return false;
}

/* The origin of a value in a file, for messages. */
struct place {
    const char *path;
    char where[ERROR_MESSAGE_BYTES / 2];
};

static const char *place_of(struct place *place, const config_setting_t *setting, const char *group)
{
    snprintf(place->where, sizeof place->where, "%s:%u: %s%s%s", place->path,
             config_setting_source_line(setting), group ? group : "", group ? "." : "",
             config_setting_name(setting));
    return place->where;
}

static const char *describe_found(const config_setting_t *setting, char found[FOUND_BYTES])
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group";
    case CONFIG_TYPE_ARRAY:
        return "an array";
    case CONFIG_TYPE_LIST:
        return "a list";
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(setting) ? "true" : "false";
    case CONFIG_TYPE_STRING:
        snprintf(found, FOUND_BYTES, "\"%.80s\"", config_setting_get_string(setting));
        return found;
    case CONFIG_TYPE_FLOAT:
        /* With its decimal point: 1.0 is not an integer, and the message must show why. */
        snprintf(found, FOUND_BYTES, "%.15g", config_setting_get_float(setting));
        if (!strpbrk(found, ".en"))
            memcpy(found + strlen(found), ".0", sizeof ".0");
        return found;
    default:
        snprintf(found, FOUND_BYTES, "%lld", config_setting_get_int64(setting));
        return found;
    }
}

static bool take_setting(const struct config_key *key, const config_setting_t *setting,
                         struct config_value *value)
{
    int type = config_setting_type(setting);
    bool is_integer = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
    switch (key->type) {
    case CONFIG_TEXT:
        return type == CONFIG_TYPE_STRING &&
               config_value_take_text(key, config_setting_get_string(setting), value);
    case CONFIG_INTEGER:
        return is_integer &&
               config_value_take_integer(key, config_setting_get_int64(setting), value);
    case CONFIG_NUMBER:
        if (is_integer)
            return config_value_take_number(key, (double)config_setting_get_int64(setting), value);
        return type == CONFIG_TYPE_FLOAT &&
               config_value_take_number(key, config_setting_get_float(setting), value);
    case CONFIG_BOOL:
        value->flag = type == CONFIG_TYPE_BOOL && config_setting_get_bool(setting);
        return type == CONFIG_TYPE_BOOL;
    }
    return false;
}

static int read_setting(const struct table *table, const char *group,
                        const config_setting_t *setting, struct place *place, struct error *err)
{
    const char *name = config_setting_name(setting);
    const char *where = place_of(place, setting, group);
    char candidate[NAME_BYTES], asked[NAME_BYTES], found[FOUND_BYTES];
    snprintf(asked, sizeof asked, "%s.%s", group, name);
    struct suggestion best = {.unknown = asked};
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        bool has_name = strcmp(key->name, name) == 0;
        if (!has_name || strcmp(key->group, group) != 0) {
            full_name(key, candidate);
            consider(&best, candidate, has_name ? 1 : edit_distance(asked, candidate));
            continue;
        }
        /* libconfig silently truncates a hexadecimal number to 32 bits. */
        if (config_setting_get_format(setting) == CONFIG_FORMAT_HEX)
            return config_value_refuse(key, where, "a hexadecimal number", err);
        if (!take_setting(key, setting, &table->values[i]))
            return config_value_refuse(key, where, describe_found(setting, found), err);
        return 0;
    }
    return unknown(&best, where, "key", err);
}

static int read_group(const struct table *table, const config_setting_t *setting,
                      struct place *place, struct error *err)
{
    const char *name = config_setting_name(setting);
    const char *where = place_of(place, setting, NULL);
    bool is_known = is_group(table, name), has_members = config_setting_is_group(setting);
    char found[FOUND_BYTES];
    if (is_known && !has_members)
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s: expected a group in braces, found %s",
                         where, describe_found(setting, found));
    if (!is_known) {
        struct suggestion best = {.unknown = name};
        for (size_t i = 0; i < table->count; i++)
            consider(&best, table->keys[i].group, edit_distance(name, table->keys[i].group));
        return unknown(&best, where, has_members ? "group" : "key outside a group", err);
    }
    for (int i = 0; i < config_setting_length(setting); i++) {
        const config_setting_t *member = config_setting_get_elem(setting, (unsigned)i);
        if (read_setting(table, name, member, place, err) < 0)
            return -1;
    }
    return 0;
}

static int read_parsed(const struct table *table, const char *path, const char *content,
                       struct error *err)
{
    CLEANUP(config_destroy) config_t config;
    config_init(&config);
    if (config_read_string(&config, content) != CONFIG_TRUE)
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s:%d: %s", path,
                         config_error_line(&config), config_error_text(&config));
    const config_setting_t *root = config_root_setting(&config);
    struct place place = {.path = path};
    for (int i = 0; i < config_setting_length(root); i++)
        if (read_group(table, config_setting_get_elem(root, (unsigned)i), &place, err) < 0)
            return -1;
    return 0;
}

static int read_file(const struct table *table, const char *path, struct error *err)
{
    struct stat status;
    FD(fd) = config_file_open(path, &status, err);
    if (fd < 0)
        return -1;
    TEXT(content) = must_malloc(CONFIG_FILE_MAX_BYTES + 2);
    ssize_t size = config_file_read(fd, content, CONFIG_FILE_MAX_BYTES + 1);
    if (size < 0)
        return error_errno(err, "cannot read %s", path);
    if (size > CONFIG_FILE_MAX_BYTES)
        return error_set(err, ERROR_PERMANENT, EFBIG, "%s: larger than %d bytes", path,
                         CONFIG_FILE_MAX_BYTES);
    if (memchr(content, '\0', (size_t)size))
        return error_set(err, ERROR_PERMANENT, EINVAL, "%s: contains a NUL byte", path);
    content[size] = '\0';
    if (config_scan(path, content, err) < 0)
        return -1;
    return read_parsed(table, path, content, err);
}

static int read_variables(const struct table *table, struct error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        char name[NAME_BYTES], found[FOUND_BYTES];
        variable_name(key, name);
        const char *string = getenv(name);
        if (!string || config_value_take_string(key, string, &table->values[i]))
            continue;
        snprintf(found, sizeof found, "\"%.80s\"", string);
        return config_value_refuse(key, name, found, err);
    }
    return 0;
}

static bool begins_with_group(const struct table *table, const char *variable)
{
    for (size_t i = 0; i < table->count; i++) {
        char prefix[NAME_BYTES];
        variable_name(&(struct config_key){.group = table->keys[i].group, .name = ""}, prefix);
        if (strncmp(variable, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

static int check_variable(const struct table *table, const char *entry, struct error *err)
{
    size_t size = strcspn(entry, "=");
    char variable[NAME_BYTES], candidate[NAME_BYTES];
    snprintf(variable, sizeof variable, "%.*s", (int)least(size, NAME_BYTES - 1), entry);
    if (!begins_with_group(table, variable))
        return 0;
    struct suggestion best = {.unknown = variable};
    for (size_t i = 0; i < table->count; i++) {
        variable_name(&table->keys[i], candidate);
        if (strcmp(candidate, variable) == 0)
            return 0;
        consider(&best, candidate, edit_distance(variable, candidate));
    }
    return unknown(&best, variable, "key", err);
}

/* A variable of a group that we do not have may belong to another of our programs. */
static int check_variables(const struct table *table, struct error *err)
{
    for (char **entry = environ; entry && *entry; entry++)
        if (check_variable(table, *entry, err) < 0)
            return -1;
    return 0;
}

static int load(const struct table *table, const char *path, void *target, struct error *err)
{
    if (take_fallbacks(table, err) < 0 || (path && read_file(table, path, err) < 0) ||
        check_variables(table, err) < 0 || read_variables(table, err) < 0)
        return -1;
    for (size_t i = 0; i < table->count; i++)
        config_value_store(&table->keys[i], &table->values[i], target);
    return 0;
}

const char *config_find(const char *named, const char *usual)
{
    if (named)
        return named;
    bool is_absent = access(usual, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
    return is_absent ? NULL : usual;
}

int config_load(const struct config_key *keys, size_t count, const char *path, void *target,
                struct error *err)
{
    struct table table = {keys, count, must_calloc(count, sizeof(struct config_value))};
    int result = load(&table, path, target, err);
    free(table.values);
    return result;
}

/* 0: it is not in the file, or the file has changed meanwhile. */
static unsigned line_of(const char *path, const char *group, const char *name)
{
    char key[NAME_BYTES];
    CLEANUP(config_destroy) config_t config;
    config_init(&config);
    snprintf(key, sizeof key, "%s.%s", group, name);
    STREAM(file) = fopen(path, "re");
    if (!file || config_read(&config, file) != CONFIG_TRUE)
        return 0;
    const config_setting_t *setting = config_lookup(&config, key);
    return setting ? config_setting_source_line(setting) : 0;
}

int config_blame(const char *path, const char *group, const char *name, struct error *err)
{
    char variable[NAME_BYTES];
    variable_name(&(struct config_key){.group = group, .name = name}, variable);
    if (getenv(variable))
        return error_wrap(err, "%s", variable);
    unsigned line = path ? line_of(path, group, name) : 0;
    if (line)
        return error_wrap(err, "%s:%u", path, line);
    return path ? error_wrap(err, "%s", path) : -1;
}
