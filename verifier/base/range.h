/* range: the Range header of a download. Pure. A single byte range is honoured; anything else that
 * is well-formed or not is ignored (RFC 9110: the whole file then), except a single range that lies
 * behind the end. */
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
