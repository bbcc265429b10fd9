#include "agent/daemon/node.h"

int64_t soonest_ms(int64_t a, int64_t b)
{
    if (a == NODE_NEVER)
        return b;
    return b == NODE_NEVER || a < b ? a : b;
}
