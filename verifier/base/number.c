#include "verifier/base/number.h"

#include <string.h>

enum { DIGITS_MAX = 18 };

bool number_parse(const char *text, int64_t *value)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || text[digits] || (text[0] == '0' && digits > 1))
        return false;
    *value = 0;
    for (size_t i = 0; i < digits; i++)
        *value = *value * 10 + text[i] - '0';
    return true;
}
