/* harm: what a preloaded library does to a program under test, by a small file that both share.
 *
 * The programs have no hook for it: preload.c stands between them and libc. A clock of theirs is
 * the machine's and shift_us; calls that write to the disk fail with disk_errno for as long as
 * disk_left is not 0 (each failure takes one; -1: without end). */
#ifndef LAB_HARM_H
#define LAB_HARM_H

#include <stdatomic.h>
#include <stdint.h>

#define HARM_VARIABLE "TAILSLATE_LAB_HARM" /* names the file */

struct harm {
    _Atomic int64_t shift_us;
    _Atomic int32_t disk_errno, disk_left;
};

#endif
