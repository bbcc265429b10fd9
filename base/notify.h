/* notify: tells the service manager our status (the protocol of sd_notify(3)).
 *
 * One datagram to the socket that $NOTIFY_SOCKET names, in the file system or (with @) in the
 * abstract namespace, so that libsystemd is not needed. Without a manager every call silently does
 * nothing; no error here ever reaches the caller. Not for a child process: the variables stay in
 * the environment of everything we start. */
#ifndef TAILSLATE_NOTIFY_H
#define TAILSLATE_NOTIFY_H

#include <stdint.h>

enum { NOTIFY_STATUS_BYTES = 256 };

void notify_ready(void);
void notify_reloading(void); /* call notify_ready when it is done */
void notify_stopping(void);
void notify_status(const char *text); /* one line for `systemctl status` */
/* Call only on local progress: if it depended on a server's answers, an outage would kill us. */
void notify_watchdog(void);
/* The interval in ms (half of what the manager allows); 0: no watchdog. */
int64_t notify_watchdog_ms(void);

#endif
