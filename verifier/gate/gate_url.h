/* gate_url: where Redis is. Pure. */
#ifndef VERIFIER_GATE_URL_H
#define VERIFIER_GATE_URL_H

#include "lib/error.h"

#include <stdbool.h>

enum { GATE_HOST_BYTES = 254, GATE_USER_BYTES = 65 };

struct gate_address {
    char host[GATE_HOST_BYTES], port[6], user[GATE_USER_BYTES]; /* user "": none */
    char db[12];                                                /* "0" is not selected */
    bool tls;
};

/* redis://[user@]host[:port][/db]; rediss:// for TLS. PERMANENT errors, without any text of the
 * URL. */
int gate_url_parse(const char *url, struct gate_address *address, struct error *err);

#endif
