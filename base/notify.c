#include "base/notify.h"

#include "lib/cleanup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { MESSAGE_BYTES = NOTIFY_STATUS_BYTES + 64 };

static void say(const char *message)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    FD(fd) = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (fd >= 0)
        (void)sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
}

void notify_ready(void)
{
    say("READY=1");
}

void notify_reloading(void)
{
    struct timespec now = {0};
    char message[MESSAGE_BYTES];
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    say(message);
}

void notify_stopping(void)
{
    say("STOPPING=1");
}

void notify_status(const char *text)
{
    char message[MESSAGE_BYTES];
    snprintf(message, sizeof message, "STATUS=%.*s", NOTIFY_STATUS_BYTES - 1, text);
    /* A line break would start another variable. */
    for (char *at = message; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    say(message);
}

void notify_watchdog(void)
{
    say("WATCHDOG=1");
}

static bool read_number(const char *name, int64_t *value)
{
    const char *text = getenv(name);
    int end = 0;
    return text && sscanf(text, "%" SCNd64 "%n", value, &end) == 1 && text[end] == '\0';
}

int64_t notify_watchdog_ms(void)
{
    int64_t limit_us, pid;
    if (!read_number("WATCHDOG_USEC", &limit_us) || limit_us <= 0)
        return 0;
    if (read_number("WATCHDOG_PID", &pid) && pid != getpid())
        return 0;
    return limit_us / 2000 > 0 ? limit_us / 2000 : 1;
}
