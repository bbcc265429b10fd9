#include "fuzz.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#include <math.h>
#include <string.h>

/* Recursion is bounded by what json_parse takes. */
static void walk(const struct json *node, int depth)
{
    must(depth <= JSON_MAX_DEPTH);
    int count = 0;
    for (const struct json *at = json_first(node); at; at = json_next(at), count++) {
        int64_t integer;
        if (json_int(at, INT64_MIN, INT64_MAX, &integer) == JSON_FOUND)
            must(integer <= INT64_C(1) << 53 && integer >= -(INT64_C(1) << 53));
        walk(at, depth + 1);
    }
    must(count == json_count(node));
}

static void inspect_at_members(const struct json *root)
{
    int shown = json_count(root) < 32 ? json_count(root) : 32;
    for (int i = 0; json_is_object(root) && i < shown; i++) {
        const char *key = json_key_at(root, i), *text;
        double number;
        bool flag;
        must(key);
        if (json_get_number(root, key, -1e308, 1e308, &number) == JSON_FOUND)
            must(isfinite(number));
        if (json_get_text(root, key, 8, &text) == JSON_FOUND)
            must(strlen(text) <= 8);
        json_get_bool(root, key, &flag);
    }
}

/* What was taken is printed, taken again, and printed the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {.message = ""};
    JSON(root) = json_parse((const char *)data, size, &err);
    if (!root) {
        must(err.message[0] != '\0');
        /* cJSON refused what the scan took: one of the two is wrong. */
        must(strcmp(err.message, "JSON: not readable") != 0);
        return 0;
    }
    walk(root, 0);
    inspect_at_members(root);
    TEXT(first) = json_print(root);
    JSON(again) = json_parse(first, strlen(first), &err);
    must(again);
    TEXT(second) = json_print(again);
    must(strcmp(first, second) == 0);
    TEXT(pretty) = json_print_pretty(again);
    JSON(third) = json_parse(pretty, strlen(pretty), &err);
    must(third);
    return 0;
}
