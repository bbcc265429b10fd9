#include "verifier/cli/command_serve.h"

#include "base/log.h"
#include "base/notify.h"
#include "verifier/base/counters.h"
#include "verifier/base/wakeup.h"
#include "verifier/cli/preflight.h"
#include "verifier/cli/reload.h"
#include "verifier/db/db.h"
#include "verifier/http/auth.h"
#include "verifier/http/connections.h"
#include "verifier/http/directories.h"
#include "verifier/http/health_probe.h"
#include "verifier/http/overview.h"
#include "verifier/http/replays.h"
#include "verifier/http/request_metrics.h"
#include "verifier/http/routes.h"
#include "verifier/http/server.h"
#include "verifier/store/store_metrics.h"
#include "verifier/sweeper/sweeper.h"
#include "verifier/webhook/webhook.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Until SIGTERM or SIGINT. SIGHUP reloads. All were blocked before the first thread started. */
static int wait_for_signal(const struct reload *reload, const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    for (;;) {
        int number = sigtimedwait(signals, NULL, &second);
        if (number == SIGHUP)
            reload_now(reload);
        else if (number > 0)
            return number;
        else
            server_tick(reload->server);
    }
}

static void block_signals(sigset_t *signals)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    must(sigaction(SIGPIPE, &ignore, NULL) == 0);
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    must(pthread_sigmask(SIG_BLOCK, signals, NULL) == 0);
}

/* Before the first request, so that an outage is credited before any claim is judged. */
static struct sweeper *start_sweeper(const struct app *app, const struct verifier_config *config)
{
    struct sweeper_settings settings = sweeper_settings_of(config);
    if (!verifier_config_sweeps(config))
        return NULL;
    settings.store = app->store;
    settings.files = app->files;
    settings.gate = app->gate;
    settings.wakeup = app->wakeup;
    struct sweeper *sweeper = sweeper_new(&settings);
    sweeper_start(sweeper);
    return sweeper;
}

struct opened {
    struct context context;
    struct gate *gate;
    char secret[CONFIG_SECRET_BYTES];
    struct webhook_settings webhook;
};

static int run(struct server *server, struct opened *opened, struct app *app,
               struct verifier_config *config, const char *config_path, struct error *err)
{
    sigset_t signals;
    block_signals(&signals);
    app->probe = health_probe_start(app->store, app->files);
    struct directories *directories = directories_start(app->store, app->files);
    struct sweeper *sweeper = start_sweeper(app, config);
    if (server_start(server, app, err) != 0) {
        if (!sweeper_free(sweeper))
            _exit(command_failed(err));
        must(health_probe_stop(app->probe)); /* no request has used it yet */
        if (!directories_stop(directories))
            _exit(command_failed(err));
        return -1;
    }
    const char *warning = verifier_config_warning(config);
    if (warning)
        log_warning("config.short_times", LOG_TEXT("reason", warning));
    log_info("verifier.ready", LOG_INT("port", server_port(server)),
             LOG_TEXT("address", config->listen.address), LOG_TEXT("version", TAILSLATE_VERSION),
             LOG_INT("pid", getpid()));
    notify_ready();
    struct webhook *webhook = webhook_start(app->store, &opened->webhook);
    struct reload reload = {config_path, config, server, app, sweeper, webhook};
    int number = wait_for_signal(&reload, &signals);
    log_info("verifier.stopping", LOG_INT("signal", number));
    notify_stopping();
    /* Shutdown releases no claim: their holders continue after the restart. */
    sweeper_stop(sweeper);
    webhook_stop(webhook);
    wakeup_close(app->wakeup);
    bool quiet = server_stop(server) && health_probe_stop(app->probe) &&
                 directories_stop(directories) && sweeper_free(sweeper) && webhook_free(webhook);
    log_info("verifier.stopped", LOG_INT("quiet", quiet));
    /* What still runs has acknowledged nothing: exiting now is the same as a kill. */
    if (!quiet)
        _exit(STATUS_OK);
    return 0;
}

static int open_all(const struct verifier_config *config, struct opened *opened, struct error *err)
{
    if (reload_read_secret(config, opened->secret, err) != 0 ||
        webhook_settings_read(config, &opened->webhook, err) != 0)
        return -1;
    if (gate_open(config->redis.url, config->redis.password_file, config->redis.prefix,
                  &opened->gate, err) != 0)
        return -1;
    if (context_open(config, true, &opened->context, err) == 0)
        return 0;
    gate_close(opened->gate);
    return -1;
}

static void close_all(struct opened *opened)
{
    explicit_bzero(opened->secret, sizeof opened->secret);
    explicit_bzero(&opened->webhook, sizeof opened->webhook);
    context_close(&opened->context);
    gate_close(opened->gate);
}

static int serve(struct opened *opened, struct verifier_config *config, const char *config_path,
                 struct error *err)
{
    struct server_settings settings = reload_server_settings(config);
    settings.connections = connections_raise_limit(settings.connections);
    if (settings.connections < config->listen.connections)
        log_warning("connections.fewer", LOG_INT("connections", settings.connections),
                    LOG_INT("configured", config->listen.connections),
                    LOG_TEXT("reason", "the limit of open files (LimitNOFILE)"));
    struct server *server = server_listen(&settings, err);
    if (!server)
        return -1;
    counters_register();
    const char *const *route_names;
    size_t route_count = routes_names(&route_names);
    request_metrics_register(route_names, route_count);
    store_metrics_register();
    webhook_metrics_register();
    struct app app = {.store = opened->context.store,
                      .gate = opened->gate,
                      .files = &opened->context.files,
                      .wakeup = wakeup_new(),
                      .replays = replays_new(opened->context.store),
                      .auth = auth_new(opened->secret[0] ? opened->secret : NULL),
                      .page_access = reload_page_access(config)};
    app.overview = overview_new(&app);
    int result = run(server, opened, &app, config, config_path, err);
    server_free(server);
    overview_free(app.overview);
    replays_free(app.replays);
    auth_free(app.auth);
    wakeup_free(app.wakeup);
    return result;
}

/* One malloc arena for each CPU, as no more threads run at once; the C library would make eight for
 * each, and every thread of the pool that has served a request keeps pages in one. */
static void limit_arenas(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    mallopt(M_ARENA_MAX, cpus > 0 ? (int)cpus : 1);
}

int command_serve(const struct verifier_config *config, const struct command *command)
{
    struct opened opened;
    struct error err;
    sigset_t hangup; /* one that comes during the start waits for its end */
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    must(pthread_sigmask(SIG_BLOCK, &hangup, NULL) == 0);
    limit_arenas();
    struct findings findings = {.out = NULL};
    preflight(config, &findings);
    if (findings_print_refusal(&findings, "tailslate-verifier", stderr))
        return findings_exit_status(&findings);
    struct verifier_config live = *config; /* changed by a reload */
    if (open_all(&live, &opened, &err) != 0)
        return command_failed(&err);
    int result = serve(&opened, &live, command->line.config_path, &err);
    close_all(&opened);
    return result == 0 ? STATUS_OK : command_failed(&err);
}
