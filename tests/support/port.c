#include "port.h"

#include "lib/cleanup.h"
#include "lib/uuid.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <sys/socket.h>

enum { PORT_MIN = 12000, PORT_MAX = 32000, PORT_TRIES = 200 };

int port_free(void)
{
    for (int i = 0; i < PORT_TRIES; i++) {
        int port = PORT_MIN + (int)(random_u64() % (PORT_MAX - PORT_MIN));
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        FD(fd) = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return port;
    }
    cr_assert(false, "no free port");
    return 0;
}
