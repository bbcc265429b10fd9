/* range: the Range header of a download. Pure. A single byte range is honored. Everything else is
 * ignored, and the whole file is sent (RFC 9110), except a single range beyond the end. */
#ifndef VERIFIER_RANGE_H
#define VERIFIER_RANGE_H

#include <stdint.h>

enum range_kind { RANGE_WHOLE, RANGE_PART, RANGE_UNSATISFIABLE };

struct range {
    int64_t first, length;
};

/* header may be NULL. RANGE_PART fills *range. */
enum range_kind range_parse(const char *header, int64_t size, struct range *range);

#endif
