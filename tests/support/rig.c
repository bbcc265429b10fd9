#include "rig.h"

#include "base/clock.h"
#include "findings.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/uuid.h"
#include "player.h"
#include "port.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLI_MS = 30 * 1000, ARGS_MAX = 16 };

char *rig_path(const struct rig *rig, const char *format, ...)
{
    char tail[PATH_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(tail, sizeof tail, format, args);
    va_end(args);
    return must_printf("%s/%s", rig->dir, tail);
}

void rig_agent_set(struct rig *rig, const char *key, const char *value)
{
    settings_set(&rig->agent_settings, key, value);
}

void rig_verifier_set(struct rig *rig, const char *key, const char *value)
{
    settings_set(&rig->verifier_settings, key, value);
}

static void set_path(struct rig *rig, struct settings *settings, const char *key, const char *name)
{
    TEXT(path) = rig_path(rig, "%s", name);
    settings_set_text(settings, key, path);
}

void rig_set_env(struct rig *rig, const char *name, const char *value)
{
    size_t i = 0, size = strlen(name);
    while (rig->env[i] && (strncmp(rig->env[i], name, size) != 0 || rig->env[i][size] != '='))
        i++;
    cr_assert(i < RIG_ENV_MAX - 1);
    free(rig->env[i]);
    rig->env[i] = must_printf("%s=%s", name, value);
}

static void configure_verifier(struct rig *rig)
{
    struct settings *settings = &rig->verifier_settings;
    TEXT(url) = must_printf("sqlite:%s/verifier.db", rig->dir);
    TEXT(port) = must_printf("%d", rig->port);
    TEXT(secret) = rig_path(rig, "admin.secret");
    file_write(secret, "the-admin-secret-of-a-test\n", 0600);
    settings_set(settings, "listen.port", port);
    settings_set(settings, "listen.connections", "512"); /* so that a test can fill them */
    settings_set_text(settings, "listen.address", "127.0.0.1");
    settings_set_text(settings, "store.url", url);
    set_path(rig, settings, "files.uploads_dir", "uploads");
    set_path(rig, settings, "files.videos_dir", "videos");
    settings_set_text(settings, "auth.admin_secret_file", secret);
    settings_set(settings, "claims.retry_delay_seconds", "0");
}

static void configure_agent(struct rig *rig)
{
    struct settings *settings = &rig->agent_settings;
    TEXT(url) = must_printf("http://127.0.0.1:%d", rig->port);
    settings_set_text(settings, "server.url", url);
    set_path(rig, settings, "server.api_key_file", "node.key");
    set_path(rig, settings, "node.state_dir", "agent");
    settings_set(settings, "node.min_free_disk_gb", "0");
    settings_set(settings, "claim.poll_seconds", "0.2");
    settings_set(settings, "claim.wait_seconds", "5");
    settings_set(settings, "heartbeat.interval_seconds", "0.5");
    settings_set(settings, "retry.base_seconds", "0.1");
    settings_set(settings, "retry.cap_seconds", "0.5");
    settings_set(settings, "retry.rate_per_second", "100");
    settings_set_text(settings, "transcode.preset", "ultrafast");
    settings_set_text(settings, "transcode.encoder", "cpu");
    settings_set(settings, "transcode.segment_seconds", "1");
    settings_set(settings, "transcode.original", "false");
}

struct rig *rig_new(void)
{
    struct rig *rig = must_calloc(1, sizeof *rig);
    const char *base = getenv("TMPDIR");
    snprintf(rig->dir, sizeof rig->dir, "%s/tailslate-XXXXXX", base && *base ? base : P_tmpdir);
    cr_assert(mkdtemp(rig->dir), "cannot make %s", rig->dir);
    guard_start(&rig->guard, rig->dir);
    rig_set_env(rig, "TAILSLATE_TEST_SCRATCH", rig->dir);
    const char *const directories[] = {"uploads", "videos", "agent"};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        TEXT(path) = rig_path(rig, "%s", directories[i]);
        cr_assert(mkdir(path, 0700) == 0);
    }
    rig->port = port_free();
    configure_verifier(rig);
    configure_agent(rig);
    TEXT(key_file) = rig_path(rig, "node.key");
    RUN(run) = rig_verifier(
        rig, (const char *[]){"worker", "add", "node", "--key-file", key_file, NULL});
    cr_assert(run.status == 0, "worker add: %d %s", run.status, run.err);
    struct stat status;
    cr_assert(stat(key_file, &status) == 0 && (status.st_mode & 0777) == 0600);
    inspect_text(rig, rig->worker_id, sizeof rig->worker_id,
                 "SELECT worker_id FROM workers WHERE worker_name='node'");
    return rig;
}

static struct run cli(struct rig *rig, const char *program, const char *config,
                      const char *const words[])
{
    const char *argv[ARGS_MAX] = {program, "-c", config};
    size_t count = 3;
    for (size_t i = 0; words[i]; i++) {
        cr_assert(count < ARGS_MAX - 1);
        argv[count++] = words[i];
    }
    return run_program(argv, (const char *const *)rig->env, CLI_MS);
}

struct run rig_verifier(struct rig *rig, const char *const words[])
{
    TEXT(config) = rig_path(rig, "verifier.cfg");
    settings_write(&rig->verifier_settings, config);
    return cli(rig, TAILSLATE_VERIFIER, config, words);
}

static char *configured_agent(struct rig *rig)
{
    char *config = rig_path(rig, "agent.cfg");
    settings_write(&rig->agent_settings, config);
    findings_lend(rig);
    return config;
}

struct run rig_agent(struct rig *rig, const char *const words[])
{
    TEXT(config) = configured_agent(rig);
    return cli(rig, TAILSLATE_AGENT, config, words);
}

char *rig_script(struct rig *rig, const char *name, const char *text)
{
    char *path = rig_path(rig, "%s", name);
    TEXT(script) = must_printf("#!/bin/sh\n%s\n", text);
    file_write(path, script, 0755);
    return path;
}

struct peer *rig_put_peer_between(struct rig *rig)
{
    rig->peer = peer_start();
    peer_set_upstream(rig->peer, rig->port);
    TEXT(url) = must_printf("http://127.0.0.1:%d", peer_port(rig->peer));
    settings_set_text(&rig->agent_settings, "server.url", url);
    return rig->peer;
}

static struct process *start(struct rig *rig, const char *program, const char *name, int life,
                             const char *command)
{
    TEXT(config) = rig_path(rig, "%s.cfg", name);
    TEXT(log) = rig_path(rig, "%s.%d.log", name, life);
    return process_start((const char *[]){program, "-c", config, command, NULL},
                         (const char *const *)rig->env, log, NULL);
}

void rig_start_verifier(struct rig *rig)
{
    cr_assert(!rig->verifier);
    TEXT(config) = rig_path(rig, "verifier.cfg");
    settings_write(&rig->verifier_settings, config);
    rig->verifier = start(rig, TAILSLATE_VERIFIER, "verifier", ++rig->verifier_lives, "serve");
    char line[LINE_BYTES], port[16] = "";
    process_expect(rig->verifier, "event=verifier.ready port=", RIG_START_MS, line);
    cr_assert(line_value(line, "port", port, sizeof port) && strtol(port, NULL, 10) == rig->port,
              "it listens on port %s, asked for %d", port, rig->port);
}

void rig_start_agent(struct rig *rig)
{
    cr_assert(!rig->agent);
    TEXT(config) = configured_agent(rig);
    rig->agent = start(rig, TAILSLATE_AGENT, "agent", ++rig->agent_lives, "run");
    /* Not with a crash point armed: it may well be gone before it is ready. */
    for (size_t i = 0; rig->env[i]; i++)
        if (strncmp(rig->env[i], "TAILSLATE_CRASH=", 16) == 0)
            return;
    process_expect(rig->agent, "event=agent.ready", RIG_START_MS, NULL);
}

static int stop(struct process **process)
{
    process_signal(*process, SIGTERM);
    int status = process_wait(*process, STOP_MS);
    process_free(*process);
    *process = NULL;
    return status;
}

int rig_stop_verifier(struct rig *rig)
{
    return stop(&rig->verifier);
}

int rig_stop_agent(struct rig *rig)
{
    return stop(&rig->agent);
}

void rig_suspend_agent(struct rig *rig)
{
    process_signal(rig->agent, SIGSTOP);
    siginfo_t stopped;
    cr_assert_eq(waitid(P_PID, (id_t)rig->agent->pid, &stopped, WSTOPPED), 0);
}

void rig_resume_agent(struct rig *rig)
{
    process_signal(rig->agent, SIGCONT);
}

void rig_kill_agent(struct rig *rig)
{
    process_free(rig->agent);
    rig->agent = NULL;
}

void rig_kill_node(struct rig *rig)
{
    /* The verifier and the test's own helpers have the scratch in their names too, so the node is
     * named by its own directory: agent and steps carry its configuration, ffmpeg its files. */
    TEXT(config) = rig_path(rig, "agent.cfg");
    TEXT(state) = rig_path(rig, "agent/");
    guard_kill_all(config);
    guard_kill_all(state);
    process_free(rig->agent);
    rig->agent = NULL;
}

static void check_logs(const struct rig *rig)
{
    /* No program may have run at all, and then there is no log. */
    TEXT(pattern) = must_printf("touch '%s/none.log'; grep -lE 'ERROR: (Address|Leak|Undefined)|"
                                "runtime error:|must_failed|invariant' '%s'/*.log",
                                rig->dir, rig->dir);
    RUN(run) = run_program((const char *[]){"sh", "-c", pattern, NULL}, NULL, CLI_MS);
    cr_assert(run.status == 1, "a sanitizer or a broken invariant speaks in %s", run.out);
}

void rig_end(struct rig *rig)
{
    if (rig->agent) {
        int status = rig_stop_agent(rig);
        cr_assert(status == 0, "the agent ended with status %d", status);
    }
    if (rig->verifier) {
        int status = rig_stop_verifier(rig);
        cr_assert(status == 0, "the verifier ended with status %d", status);
    }
    findings_keep(rig);
    peer_stop(rig->peer);
    check_logs(rig);
    guard_end(&rig->guard);
    for (size_t i = 0; rig->env[i]; i++)
        free(rig->env[i]);
    free(rig);
}

static int64_t first_number(const char *text)
{
    text += strcspn(text, "0123456789");
    return strtoll(text, NULL, 10);
}

int64_t rig_add_job(struct rig *rig, const char *video, const char *slug)
{
    RUN(run) = rig_verifier(
        rig, (const char *[]){"job", "add", video, slug ? "--slug" : NULL, slug, NULL});
    cr_assert(run.status == 0, "job add %s: %s", video, run.err);
    int64_t job = first_number(run.out);
    cr_assert(job > 0, "job add printed no id: %s", run.out);
    return job;
}

int64_t rig_begin(struct rig *rig, const char *video)
{
    rig_start_verifier(rig);
    int64_t job = rig_add_job(rig, video, "film");
    rig_start_agent(rig);
    return job;
}

int64_t rig_add_worker(struct rig *rig, const char *name, char key[128])
{
    TEXT(key_file) = rig_path(rig, "%s.key", name);
    RUN(run) = rig_verifier(rig,
                            (const char *[]){"worker", "add", name, "--key-file", key_file, NULL});
    cr_assert(run.status == 0, "worker add %s: %s", name, run.err);
    TEXT(text) = file_read(key_file);
    snprintf(key, 128, "%.*s", (int)strcspn(text, "\n"), text);
    return first_number(run.out);
}

void rig_expect(struct rig *rig, const char *words, int64_t timeout_ms, char line[LINE_BYTES])
{
    process_expect(rig->agent, words, timeout_ms, line);
}

int rig_count_lines(const struct rig *rig, const char *words)
{
    int count = 0;
    for (int life = 1; life <= rig->agent_lives; life++) {
        TEXT(log) = rig_path(rig, "agent.%d.log", life);
        count += log_count(log, words);
    }
    return count;
}

void rig_wait_final(struct rig *rig, int64_t job)
{
    char words[64];
    snprintf(words, sizeof words, "event=job.final job=%lld", (long long)job);
    rig_expect(rig, words, RIG_JOB_MS, NULL);
}

void rig_wait_delivered(struct rig *rig, int64_t job)
{
    rig_wait_final(rig, job);
    /* The line comes before the record goes, so that no crash can swallow it. */
    inspect_wait_spool(rig, "spool", 0, RIG_START_MS);
    inspect_job_completed_once(rig, job);
    inspect_spool_empty(rig);
}

void rig_wait_completed(struct rig *rig, int64_t job)
{
    rig_wait_delivered(rig, job);
    TEXT(directory) = inspect_video(rig, job);
    player_reads(directory);
}
