/* nginx: a real one, with packaging/nginx/tailslate.conf as it is shipped: only the ports are
 * others, and where it puts its files. Dies with the test's scratch directory (guard.h). */
#ifndef SUPPORT_NGINX_H
#define SUPPORT_NGINX_H

#include "rig.h"

struct nginx {
    int port;
    struct process *process;
};

struct nginx nginx_start(struct rig *rig, int stock_port, int verifier_port);
void nginx_stop(struct nginx *nginx); /* SIGQUIT; fails the test unless it ends well */

/* `nginx -t` on the shipped file: what it says, owned; fails the test where it is refused. */
char *nginx_check(struct rig *rig);

#endif
