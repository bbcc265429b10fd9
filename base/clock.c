#include "base/clock.h"

#include "lib/error.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MICROSECONDS = 1000000 };

/* The range of years that the text form can hold with four digits. */
static const int64_t wall_min_us = -62167219200 * MICROSECONDS; /* 0000-01-01 */
static const int64_t wall_max_us = 253402300800 * MICROSECONDS - 1;

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    must(clock_gettime(clock, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t boot_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

int64_t wall_us(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * MICROSECONDS + now.tv_nsec / 1000;
}

void wall_format(int64_t time_us, char text[WALL_TEXT_BYTES])
{
    if (time_us < wall_min_us)
        time_us = wall_min_us;
    if (time_us > wall_max_us)
        time_us = wall_max_us;
    int64_t micros = time_us % MICROSECONDS;
    if (micros < 0)
        micros += MICROSECONDS;
    time_t seconds = (time_t)((time_us - micros) / MICROSECONDS);
    struct tm utc;
    must(gmtime_r(&seconds, &utc));
    snprintf(text, WALL_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%06u+00:00",
             (unsigned)(utc.tm_year + 1900) % 10000, (unsigned)(utc.tm_mon + 1) % 100,
             (unsigned)utc.tm_mday % 100, (unsigned)utc.tm_hour % 100, (unsigned)utc.tm_min % 100,
             (unsigned)utc.tm_sec % 100, (unsigned)micros);
}

/* Exactly count digits, with a value from min to max. */
static bool digits(const char **at, int count, int min, int max, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return *value >= min && *value <= max;
}

static bool one_of(const char **at, const char *wanted)
{
    if (**at == '\0' || !strchr(wanted, **at))
        return false;
    (*at)++;
    return true;
}

static bool parse_date(const char **at, struct tm *utc)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month;
    if (!digits(at, 4, 0, 9999, &year) || !one_of(at, "-") || !digits(at, 2, 1, 12, &month) ||
        !one_of(at, "-"))
        return false;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int days = month_days[month - 1] + (month == 2 && is_leap);
    utc->tm_year = year - 1900;
    utc->tm_mon = month - 1;
    return digits(at, 2, 1, days, &utc->tm_mday);
}

static bool parse_fraction(const char **at, int64_t *micros)
{
    *micros = 0;
    if (!one_of(at, "."))
        return true;
    int64_t unit = MICROSECONDS / 10;
    const char *start = *at;
    for (; **at >= '0' && **at <= '9' && *at - start < 6; (*at)++, unit /= 10)
        *micros += (**at - '0') * unit;
    return *at > start;
}

static bool parse_offset(const char **at, int *seconds)
{
    *seconds = 0;
    if (one_of(at, "Z"))
        return true;
    int sign = **at == '-' ? -1 : 1, hours, minutes;
    if (!one_of(at, "+-") || !digits(at, 2, 0, 23, &hours) || !one_of(at, ":") ||
        !digits(at, 2, 0, 59, &minutes))
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool wall_parse(const char *text, int64_t *time_us)
{
    struct tm utc = {0};
    int64_t micros;
    int offset_seconds;
    const char *at = text;
    if (!parse_date(&at, &utc) || !one_of(&at, "T ") || !digits(&at, 2, 0, 23, &utc.tm_hour) ||
        !one_of(&at, ":") || !digits(&at, 2, 0, 59, &utc.tm_min) || !one_of(&at, ":") ||
        !digits(&at, 2, 0, 60, &utc.tm_sec) || !parse_fraction(&at, &micros) ||
        !parse_offset(&at, &offset_seconds) || *at != '\0')
        return false;
    *time_us = ((int64_t)timegm(&utc) - offset_seconds) * MICROSECONDS + micros;
    return true;
}
