#include "forge.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct wire_bytes copy_of(const struct wire_bytes *bytes)
{
    struct wire_bytes copy = *bytes;
    copy.data = must_malloc(bytes->size + 1);
    memcpy(copy.data, bytes->data, bytes->size + 1);
    return copy;
}

static bool read_token(const struct wire_bytes *completion, char token[FORGE_TOKEN_BYTES])
{
    struct error ignored;
    const char *text = NULL;
    JSON(body) = json_parse(completion->data + completion->head_size,
                            completion->size - completion->head_size, &ignored);
    if (json_get_text(body, "completion_token", FORGE_TOKEN_BYTES - 1, &text) != JSON_FOUND)
        return false;
    snprintf(token, FORGE_TOKEN_BYTES, "%s", text);
    return token[0] != '\0';
}

/* In the head and in the body: another last digit. */
bool forge_second_token(const struct wire_bytes *completion, struct wire_bytes *forged)
{
    char token[FORGE_TOKEN_BYTES];
    if (!read_token(completion, token))
        return false;
    *forged = copy_of(completion);
    size_t size = strlen(token);
    for (char *at = forged->data;
         (at = memmem(at, forged->size - (size_t)(at - forged->data), token, size)) != NULL;
         at += size)
        at[size - 1] = at[size - 1] == '0' ? '1' : '0';
    return true;
}

/* The path says which report it is; the rest of the head says whose. */
void forge_failure(const struct wire_bytes *completion, struct wire_bytes *forged)
{
    static const char call[] = "/complete",
                      body[] = "{\"error_message\":\"a late report\",\"retry\":true}";
    const char *at = strstr(completion->data, call);
    must(at && at < completion->data + completion->head_size);
    const char *rest = at + sizeof call - 1;
    size_t rest_size = completion->head_size - (size_t)(rest - completion->data);
    forged->data = must_printf("%.*s/fail%.*s%s", (int)(at - completion->data), completion->data,
                               (int)rest_size, rest, body);
    forged->size = strlen(forged->data);
    forged->head_size = forged->size - (sizeof body - 1);
}

bool forge_lost_file(const char *directory, const char *slug)
{
    TEXT(path) = must_printf("%s/videos/%s/360p/seg_0001.m4s", directory, slug);
    return unlink(path) == 0;
}
