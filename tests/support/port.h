/* port: a TCP port for a server of a test that has to keep it over restarts. */
#ifndef SUPPORT_PORT_H
#define SUPPORT_PORT_H

/* Free now, and below the kernel's range for outgoing connections: while the server is down between
 * two starts, no client of another test can take it. */
int port_free(void);

#endif
