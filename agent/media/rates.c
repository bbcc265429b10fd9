#include "agent/media/rates.h"

#include <math.h>

enum { SECOND_US = 1000 * 1000, RUN_SEGMENTS_MAX = 1000 };

int64_t rates_target_s(const struct playlist *playlist)
{
    int64_t target_s = 1;
    for (size_t i = 0; i < playlist->count; i++) {
        int64_t whole_s = (playlist->segments[i].duration_us + SECOND_US - 1) / SECOND_US;
        if (whole_s > target_s)
            target_s = whole_s;
    }
    return target_s;
}

static double rate(int64_t bytes, int64_t duration_us)
{
    return duration_us > 0 ? (double)bytes * 8 * SECOND_US / (double)duration_us : 0;
}

static double peak_from(const struct playlist *playlist, const int64_t *bytes, size_t first,
                        int64_t target_us)
{
    double peak = 0;
    int64_t sum_bytes = 0, sum_us = 0;
    for (size_t i = first; i < playlist->count && i < first + RUN_SEGMENTS_MAX; i++) {
        sum_bytes += bytes[i];
        sum_us += playlist->segments[i].duration_us;
        if (sum_us * 2 > target_us * 3)
            break;
        if (sum_us * 2 >= target_us)
            peak = fmax(peak, rate(sum_bytes, sum_us));
    }
    return peak;
}

struct rates rates_measure(const struct playlist *playlist, const int64_t *bytes, int64_t target_s)
{
    int64_t target_us = target_s * SECOND_US, total_bytes = 0;
    double peak = 0;
    for (size_t i = 0; i < playlist->count; i++) {
        total_bytes += bytes[i];
        peak = fmax(peak, peak_from(playlist, bytes, i, target_us));
    }
    double average = rate(total_bytes, playlist->total_us);
    return (struct rates){.peak_bps = llround(fmax(peak, average)),
                          .average_bps = llround(average)};
}
