#include "base/crash.h"

#ifdef TAILSLATE_CRASH_POINTS

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Async-signal-safe except for getenv, so that it can be used anywhere, also between fork and exec.
 */
void crash_point(enum crash_point point)
{
    const char *wanted = getenv("TAILSLATE_CRASH");
    if (!wanted)
        return;
    int number = 0;
    for (; *wanted >= '0' && *wanted <= '9' && number < 1000; wanted++)
        number = number * 10 + (*wanted - '0');
    if (*wanted != ':' || number != (int)point)
        return;
    /* unlink makes it happen once, among all processes that reach the point at the same time. */
    if (unlink(wanted + 1) != 0)
        return;
    kill(getpid(), SIGKILL);
    abort();
}

#endif
