#include "verifier/cli/span.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>

enum { BAR_CELLS = 16 };

void status_span(const char *now, const char *at, char text[STATUS_SPAN_BYTES])
{
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = {{2 * 86400, "d"}, {2 * 3600, "h"}, {2 * 60, "min"}, {1, "s"}};
    int64_t now_us, at_us;
    if (!wall_parse(now, &now_us) || !wall_parse(at, &at_us)) {
        snprintf(text, STATUS_SPAN_BYTES, "never");
        return;
    }
    bool is_past = at_us <= now_us;
    int64_t seconds = (is_past ? now_us - at_us : at_us - now_us) / 1000000;
    size_t i = 0;
    while (i < 3 && seconds < units[i].seconds)
        i++;
    /* "2 h" begins at two hours, so that rounding loses less than half. */
    int64_t divisor = units[i].seconds > 1 ? units[i].seconds / 2 : 1;
    snprintf(text, STATUS_SPAN_BYTES, is_past ? "%lld %s ago" : "in %lld %s",
             (long long)(seconds / divisor), units[i].unit);
}

void status_bar(int64_t percent, char text[STATUS_BAR_BYTES])
{
    int64_t shown = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    int full = (int)(shown * BAR_CELLS / 100);
    char cells[BAR_CELLS + 1];
    for (int i = 0; i < BAR_CELLS; i++)
        cells[i] = i < full ? '#' : '.';
    cells[BAR_CELLS] = '\0';
    snprintf(text, STATUS_BAR_BYTES, "[%s] %3d%%", cells, (int)shown);
}
