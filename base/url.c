#include "base/url.h"

#include <string.h>

/* Behind scheme and slashes; NULL: there are none. */
static const char *authority(const char *url)
{
    const char *slashes = strstr(url, "://");
    return slashes ? slashes + 3 : NULL;
}

static size_t authority_bytes(const char *at)
{
    return strcspn(at, "/?#");
}

bool url_is_http(const char *url)
{
    return (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0) &&
           authority_bytes(authority(url)) > 0;
}

bool url_has_user(const char *url)
{
    const char *at = authority(url);
    return at && memchr(at, '@', authority_bytes(at));
}

int url_origin_bytes(const char *url)
{
    const char *at = authority(url);
    return at ? (int)(at - url) + (int)authority_bytes(at) : 0;
}
