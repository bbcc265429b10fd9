/* notify: tells the service manager how we are (sd_notify's protocol, sd_notify(3)).
 *
 * One datagram to the socket that $NOTIFY_SOCKET names, in the file system or (with @) in the
 * abstract namespace. That is all of it, so that there is no libsystemd here. Without a manager
 * every call is a silent no-op; nothing here ever fails its caller. Not for a child process: the
 * variables stay in the environment of whoever was started with them. */
#ifndef TAILSLATE_NOTIFY_H
#define TAILSLATE_NOTIFY_H

#include <stdint.h>

enum { NOTIFY_STATUS_BYTES = 256 };

void notify_ready(void);
void notify_reloading(void); /* and notify_ready when it is done */
void notify_stopping(void);
void notify_status(const char *text); /* one line for `systemctl status` */
/* Only by local progress: fed by a server's answers it would kill us in an outage. */
void notify_watchdog(void);
/* How often, in ms (half of what the manager allows this process); 0: it does not watch us. */
int64_t notify_watchdog_ms(void);

#endif
