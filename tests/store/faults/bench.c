#include "bench.h"

#include "lib/cleanup.h"
#include "verifier/store/store.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct bench on(struct postgres *server)
{
    struct error err;
    setenv("TAILSLATE_TEST_OWN_DATABASE", "", 1); /* some change its settings */
    struct bench bench = {.rig = rig_new(), .server = server};
    const char *port = strrchr(getenv("TAILSLATE_TEST_POSTGRES"), ':');
    bench.proxy = fault_proxy_start((int)strtol(port + 1, NULL, 10));
    TEXT(url) = postgres_url_at(bench.rig->url, fault_proxy_port(bench.proxy));
    bench.job_id = rig_add_job(bench.rig, "film");
    store_close(bench.rig->store);
    bench.rig->store = rig_open(bench.rig, url, &err);
    cr_assert(bench.rig->store, "%s", err.message);
    return bench;
}

struct bench bench_new(void)
{
    return on(NULL);
}

struct bench bench_new_server(const char *const options[])
{
    struct postgres *server = postgres_start(options);
    setenv("TAILSLATE_TEST_POSTGRES", server->place, 1);
    return on(server);
}

void bench_free(struct bench *bench)
{
    rig_free(bench->rig);
    fault_proxy_stop(bench->proxy);
    if (bench->server)
        postgres_stop(bench->server);
}
