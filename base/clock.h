/* clock: the clocks, and times as text.
 *
 * mono_ms is for waits and deadlines (never jumps); wall_us is for times that are stored or sent;
 * boot_ms never jumps either, and continues while the machine is suspended. The wire uses ISO 8601
 * UTC with an offset: 2026-01-03T16:28:00.123456+00:00 */
#ifndef TAILSLATE_CLOCK_H
#define TAILSLATE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { WALL_TEXT_BYTES = 40 };

int64_t mono_ms(void); /* CLOCK_MONOTONIC */
int64_t boot_ms(void); /* CLOCK_BOOTTIME */
int64_t wall_us(void); /* CLOCK_REALTIME, microseconds since 1970 */

void wall_format(int64_t wall_us, char text[WALL_TEXT_BYTES]);

/* Accepts `Z`, `+hh:mm`, `-hh:mm`, a space or a `T`, 0 to 6 decimals. False: not a time. */
bool wall_parse(const char *text, int64_t *wall_us);

#endif
