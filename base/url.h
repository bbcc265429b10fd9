/* url: what is refused of a URL that an operator has configured. Pure. */
#ifndef TAILSLATE_URL_H
#define TAILSLATE_URL_H

#include <stdbool.h>

bool url_is_http(const char *url); /* http:// or https://, and a host */
/* It names a user, with or without a password: it would be shown wherever the URL is. */
bool url_has_user(const char *url);
/* The bytes of scheme, host and port: what may be shown of a URL whose path or query is a secret.
 */
int url_origin_bytes(const char *url);

#endif
