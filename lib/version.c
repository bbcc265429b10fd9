#include "tailslate/version.h"

const char *tailslate_version(void)
{
    return TAILSLATE_VERSION;
}
