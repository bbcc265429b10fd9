#include "nginx.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "port.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHIPPED TAILSLATE_SOURCE_DIR "/packaging/nginx/tailslate.conf"

enum { NGINX_MS = 20 * 1000 };

/* Owned. Fails the test where there is nothing to replace. */
static char *replaced(const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);
    cr_assert(at, "%s is not in " SHIPPED, old);
    return must_printf("%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

static char *with_ports(int port, int stock_port, int verifier_port)
{
    TEXT(shipped) = file_read(SHIPPED);
    TEXT(listen) = must_printf("listen 127.0.0.1:%d;", port);
    TEXT(stock) = must_printf("127.0.0.1:%d;", stock_port);
    TEXT(verifier) = must_printf("127.0.0.1:%d;", verifier_port);
    TEXT(first) = replaced(shipped, "listen 8080;", listen);
    TEXT(second) = replaced(first, "127.0.0.1:9002;", stock);
    return replaced(second, "127.0.0.1:9003;", verifier);
}

/* What a distribution's nginx.conf has around it; the path is owned. The working directory is what
 * the guard finds workers by whose master is gone. */
static char *write_main(struct rig *rig, const char *included)
{
    char *path = rig_path(rig, "nginx.conf");
    TEXT(text) = must_printf(
        "daemon off;\n%sworker_processes 1;\nworking_directory %s;\npid %s/nginx.pid;\n"
        "error_log %s/nginx-error.log notice;\nevents {}\nhttp {\n    access_log off;\n"
        "    client_body_temp_path %s/body;\n    proxy_temp_path %s/proxy;\n"
        "    fastcgi_temp_path %s/fastcgi;\n    uwsgi_temp_path %s/uwsgi;\n"
        "    scgi_temp_path %s/scgi;\n    include %s;\n}\n",
        geteuid() == 0 ? "user root;\n" : "", rig->dir, rig->dir, rig->dir, rig->dir, rig->dir,
        rig->dir, rig->dir, rig->dir, included);
    file_write(path, text, 0600);
    return path;
}

struct nginx nginx_start(struct rig *rig, int stock_port, int verifier_port)
{
    struct nginx nginx = {.port = port_free()};
    char line[LINE_BYTES];
    TEXT(text) = with_ports(nginx.port, stock_port, verifier_port);
    TEXT(included) = rig_path(rig, "tailslate.conf");
    TEXT(log) = rig_path(rig, "nginx.log");
    TEXT(errors) = rig_path(rig, "nginx-error.log");
    file_write(included, text, 0600);
    file_write(errors, "", 0600);
    TEXT(config) = write_main(rig, included);
    nginx.process = process_start(
        (const char *[]){"nginx", "-p", rig->dir, "-c", config, "-e", errors, NULL},
        (const char *const *)rig->env, log, NULL);
    cr_assert(log_wait(errors, "start worker process", NGINX_MS, line), "nginx does not start");
    return nginx;
}

void nginx_stop(struct nginx *nginx)
{
    process_signal(nginx->process, SIGQUIT);
    cr_assert_eq(process_wait(nginx->process, NGINX_MS), 0);
    process_free(nginx->process);
}

char *nginx_check(struct rig *rig)
{
    TEXT(config) = write_main(rig, SHIPPED);
    RUN(run) = run_program((const char *[]){"nginx", "-t", "-p", rig->dir, "-c", config, NULL},
                           (const char *const *)rig->env, NGINX_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
    return must_strdup(run.err);
}
