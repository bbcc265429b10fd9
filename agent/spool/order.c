#include "agent/spool/order.h"

#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <string.h>

static const char *const names[ORDER_COUNT] = {
    [ORDER_DRAIN] = "drain",
    [ORDER_PAUSE] = "pause",
    [ORDER_RETRY] = "retry" ORDER_SUFFIX,
    [ORDER_HOLD] = "hold" ORDER_SUFFIX,
    [ORDER_QUARANTINE] = "quarantine" ORDER_SUFFIX,
};

bool order_is_given(int dir, enum order order)
{
    must(order < ORDER_COUNT);
    return dir >= 0 && durable_exists(dir, names[order]);
}

int order_give(int dir, enum order order, struct error *err)
{
    char now[WALL_TEXT_BYTES];
    must(order < ORDER_COUNT);
    wall_format(wall_us(), now);
    TEXT(text) = must_printf("{\"at\":\"%s\",\"uid\":%u}\n", now, (unsigned)getuid());
    return durable_write(dir, names[order], text, strlen(text), err);
}

int order_withdraw(int dir, enum order order, struct error *err)
{
    must(order < ORDER_COUNT);
    return durable_unlink(dir, names[order], err);
}
