#include "verifier/base/range.h"

#include <stdbool.h>
#include <string.h>

enum { DIGITS_MAX = 18 }; /* always fits an int64_t */

/* False: no digits here, or too many. */
static bool number(const char **at, int64_t *value)
{
    size_t digits = strspn(*at, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX)
        return false;
    *value = 0;
    for (size_t i = 0; i < digits; i++)
        *value = *value * 10 + (*at)[i] - '0';
    *at += digits;
    return true;
}

static enum range_kind suffix(const char *at, int64_t size, struct range *range)
{
    int64_t wanted;
    if (!number(&at, &wanted) || *at)
        return RANGE_WHOLE;
    if (wanted == 0 || size == 0)
        return RANGE_UNSATISFIABLE;
    range->length = wanted < size ? wanted : size;
    range->first = size - range->length;
    return RANGE_PART;
}

enum range_kind range_parse(const char *header, int64_t size, struct range *range)
{
    static const char unit[] = "bytes=";
    if (!header || strncmp(header, unit, sizeof unit - 1) != 0)
        return RANGE_WHOLE;
    const char *at = header + sizeof unit - 1;
    if (*at == '-')
        return suffix(at + 1, size, range);

    int64_t first, last = INT64_MAX;
    if (!number(&at, &first) || *at++ != '-')
        return RANGE_WHOLE;
    if (*at && !number(&at, &last))
        return RANGE_WHOLE;
    if (*at || last < first)
        return RANGE_WHOLE;
    if (first >= size)
        return RANGE_UNSATISFIABLE;
    range->first = first;
    range->length = (last < size - 1 ? last : size - 1) - first + 1;
    return RANGE_PART;
}
