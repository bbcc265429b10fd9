#include "verifier/base/slug.h"

#include <string.h>

/* U+00C0 to U+00FF, the letters of Western Europe: two bytes in UTF-8, 0xC3 and this plus 0x80. */
static const char latin1[] = "aaaaaaaceeeeiiiidnooooo-ouuuuypsaaaaaaaceeeeiiiidnooooo-ouuuuypy";

static char ascii_of(const unsigned char **at)
{
    unsigned char c = *(*at)++;
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return (char)c;
    if (c == 0xC3 && **at >= 0x80 && **at <= 0xBF)
        return latin1[*(*at)++ - 0x80];
    return '-';
}

void slug_from_name(const char *name, char slug[SLUG_BYTES])
{
    size_t length = 0;
    const unsigned char *at = (const unsigned char *)name;
    while (*at && length < SLUG_MAX_LENGTH) {
        char c = ascii_of(&at);
        if (c == '-' && (length == 0 || slug[length - 1] == '-'))
            continue;
        slug[length++] = c;
    }
    while (length > 0 && slug[length - 1] == '-')
        length--;
    slug[length] = '\0';
    if (length == 0)
        memcpy(slug, "video", sizeof "video");
}

bool slug_is_valid(const char *slug)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-_.";
    size_t length = strlen(slug);
    return length > 0 && length < SLUG_BYTES && slug[0] != '.' && slug[0] != '-' &&
           strspn(slug, allowed) == length;
}
