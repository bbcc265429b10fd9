/* fault: disk errors on demand, for tests.
 *
 * Compiled in like crash.h: in a release every call is empty and the environment is not read.
 * TAILSLATE_FAULT="<kind>:<name>:<flag file>", several of them separated by commas: the first
 * process that is about to do this with that name, and can unlink the flag file, gets EIO instead.
 * So each error happens once, and the missing file proves it to the test.
 *      fsync    of the file that becomes `name`: nothing has been renamed yet
 *      full     the same with ENOSPC
 *      rename   to `name`: not done
 *      unlink   of `name`: not done
 *      dirsync  of the directory after a rename to, or an unlink of, `name`, which was done */
#ifndef TAILSLATE_FAULT_H
#define TAILSLATE_FAULT_H

#include <stdbool.h>

enum fault { FAULT_FSYNC, FAULT_RENAME, FAULT_UNLINK, FAULT_DIRSYNC };

#ifdef TAILSLATE_CRASH_POINTS
bool fault_strikes(enum fault fault, const char *name); /* true: errno says which */
#else
static inline bool fault_strikes(enum fault fault, const char *name)
{
    (void)fault;
    (void)name;
    return false;
}
#endif

#endif
