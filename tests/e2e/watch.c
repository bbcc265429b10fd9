/* What there is to see of a node: the picture, the keys of status --json, metrics, fsck. */
#include "call.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/json.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEN_MS = 30 * 1000, EXIT_DATA = 65, SCREEN_BYTES = 64 * 1024 };
#define NOT_NOW "503 retry-after=3600 code=store_unavailable"

static struct rig *with_one_that_waits(char id[64])
{
    struct rig *rig = rig_new();
    peer_script(rig_put_peer_between(rig), "POST *complete", NOT_NOW);
    rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    TEXT(record) = inspect_record(rig, "spool");
    snprintf(id, 64, "%s", strrchr(record, '/') + 1);
    /* What the agent knows is published once a second. */
    peer_wait_more(rig->peer, "POST *heartbeat", 4, SEEN_MS);
    return rig;
}

static void finish(struct rig *rig)
{
    peer_script(rig->peer, "POST *complete", "pass");
    RUN(retry) = rig_agent(rig, (const char *[]){"spool", "retry", "--all", NULL});
    cr_assert_eq(retry.status, 0, "%s", retry.err);
    rig_wait_completed(rig, 1);
    rig_end(rig);
}

/* ---- the picture ---- */

struct screen {
    pid_t pid;
    int fd;
    char text[SCREEN_BYTES];
    size_t size;
};

static void screen_open(struct rig *rig, struct screen *screen)
{
    struct winsize window = {.ws_row = 24, .ws_col = 80};
    TEXT(config) = rig_path(rig, "agent.cfg");
    *screen = (struct screen){.fd = -1};
    screen->pid = forkpty(&screen->fd, NULL, NULL, &window);
    cr_assert_geq(screen->pid, 0);
    if (screen->pid == 0) {
        execl(TAILSLATE_AGENT, TAILSLATE_AGENT, "-c", config, "status", "--watch", (char *)NULL);
        _exit(127);
    }
}

static void screen_wait(struct screen *screen, const char *wanted)
{
    struct pollfd out = {.fd = screen->fd, .events = POLLIN};
    while (!strstr(screen->text, wanted)) {
        cr_assert_eq(poll(&out, 1, SEEN_MS), 1, "no %s in %s", wanted, screen->text);
        cr_assert_lt(screen->size, SCREEN_BYTES - 1);
        ssize_t got = read(screen->fd, screen->text + screen->size,
                           SCREEN_BYTES - 1 - screen->size);
        cr_assert_gt(got, 0, "it ended without %s: %s", wanted, screen->text);
        screen->size += (size_t)got;
    }
}

/* Escapes are not counted, and a line ends at a line break. */
static void check_width(const char *text)
{
    size_t column = 0;
    for (; *text; text++) {
        if (*text == '\033') {
            text += strcspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
            continue;
        }
        column = *text == '\n' || *text == '\r' ? 0 : column + 1;
        cr_assert_leq(column, 80, "a line is too long: %.100s", text - 80);
    }
}

Test(watch, a_terminal_gets_a_screen_of_its_own_and_has_it_taken_away_on_ctrl_c, .timeout = 120)
{
    char id[64];
    struct rig *rig = with_one_that_waits(id);
    static struct screen screen;
    screen_open(rig, &screen);
    screen_wait(&screen, "\033[?1049h");
    screen_wait(&screen, "store_unavailable");
    screen_wait(&screen, "1 in the spool");
    size_t first = screen.size;
    screen_wait(&screen, "\033[J");
    cr_assert_gt(strlen(screen.text), 0u);
    check_width(screen.text);
    cr_assert_eq(write(screen.fd, "\003", 1), 1); /* Ctrl-C */
    screen_wait(&screen, "\033[?1049l");
    cr_assert_geq(screen.size, first);
    int status;
    cr_assert_eq(waitpid(screen.pid, &status, 0), screen.pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
    close(screen.fd);
    finish(rig);
}

Test(watch, into_a_pipe_it_is_plain_and_ends_with_its_reader, .timeout = 120)
{
    char id[64];
    struct rig *rig = with_one_that_waits(id);
    TEXT(config) = rig_path(rig, "agent.cfg");
    TEXT(command) = must_printf("'%s' -c '%s' status --watch | head -n 3", TAILSLATE_AGENT, config);
    RUN(run) = run_program((const char *[]){"sh", "-c", command, NULL}, NULL, SEEN_MS);
    cr_assert_eq(run.status, 0, "%s", run.err);
    cr_assert(!strchr(run.out, '\033'), "%s", run.out);
    cr_assert(strstr(run.out, "node    "), "%s", run.out);
    finish(rig);
}

/* ---- the keys ---- */

static const struct json *member(const struct json *root, const char *path)
{
    char name[64];
    const struct json *at = root;
    while (*path && at) {
        size_t length = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        at = strcmp(name, "0") == 0 ? json_first(at) : json_get(at, name);
        path += length + (path[length] == '.');
    }
    return at;
}

/* docs/STATUS.md promises them. */
Test(watch, the_keys_of_status_are_those_that_the_documentation_names, .timeout = 120)
{
    static const char *const keys[] = {
        "running",
        "node",
        "state_dir",
        "drained",
        "paused",
        "disk_free_bytes",
        "foreign",
        "kept",
        "quarantine",
        "jobs.0.record",
        "jobs.0.job",
        "jobs.0.state",
        "jobs.0.slug",
        "jobs.0.token",
        "jobs.0.claimed_at",
        "jobs.0.claim_expires_at",
        "jobs.0.claim_epoch",
        "jobs.0.step_running",
        "jobs.0.on_hold",
        "jobs.0.size_bytes",
        "jobs.0.attempts",
        "jobs.0.next_attempt_at",
        "jobs.0.reason",
        "jobs.0.held",
        "agent.pid",
        "agent.version",
        "agent.started_at",
        "agent.updated_at",
        "agent.slots",
        "agent.slots_held",
        "agent.server.url",
        "agent.server.state",
        "agent.server.since",
        "agent.claims.asking",
        "agent.claims.failures_in_a_row",
        "agent.disk.free_bytes",
        "agent.disk.low",
        "agent.finals",
        "agent.drained",
        "agent.paused",
        "agent.draining",
        "agent.stopping",
    };
    char id[64];
    struct rig *rig = with_one_that_waits(id);
    TEXT(documentation) = file_read(TAILSLATE_SOURCE_DIR "/docs/STATUS.md");
    RUN(run) = rig_agent(rig, (const char *[]){"status", "--json", NULL});
    struct error err;
    JSON(root) = json_parse(run.out, strlen(run.out), &err);
    cr_assert(root, "%s", err.message);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        cr_expect(member(root, keys[i]), "there is no %s", keys[i]);
        const char *last = strrchr(keys[i], '.');
        TEXT(word) = must_printf("`%s`", last ? last + 1 : keys[i]);
        cr_expect(strstr(documentation, word), "it is not documented: %s", keys[i]);
    }
    finish(rig);
}

Test(watch, metrics_tell_the_queue_the_claims_and_the_orders, .timeout = 120)
{
    static const char *const lines[] = {
        "tailslate_agent_undelivered 1\n",
        "tailslate_agent_delivery_attempts_total ",
        "tailslate_agent_oldest_undelivered_seconds ",
        "tailslate_agent_claims_total{outcome=\"given\"} 1\n",
        "tailslate_agent_slots{state=\"total\"} 1\n",
        "tailslate_agent_slots{state=\"held\"} 0\n",
        "tailslate_agent_server_up 1\n",
        "tailslate_agent_drained 1\n",
        "tailslate_agent_paused 0\n",
        "tailslate_agent_asking 0\n",
        "tailslate_agent_disk_low 0\n",
        "tailslate_agent_disk_free_bytes ",
    };
    struct rig *rig = rig_new();
    peer_script(rig_put_peer_between(rig), "POST *complete", NOT_NOW);
    TEXT(port) = must_printf("%d", rig->port + 1);
    rig_agent_set(rig, "health.port", port);
    rig_begin(rig, media_clip(MEDIA_TINY));
    rig_expect(rig, "event=delivery.refused", RIG_JOB_MS, NULL);
    RUN(drain) = rig_agent(rig, (const char *[]){"drain", NULL});
    cr_assert_eq(drain.status, 0);
    TEXT(url) = must_printf("http://127.0.0.1:%s/metrics", port);
    REPLY(reply) = call_make(&(struct call){.url = url});
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect(strstr(reply.body, lines[i]), "no %s in\n%s", lines[i], reply.body);
    TEXT(ready) = must_printf("http://127.0.0.1:%s/readyz", port);
    REPLY(readiness) = call_make(&(struct call){.url = ready});
    cr_expect(readiness.status == 503 && strstr(readiness.body, "drained"), "%s", readiness.body);
    finish(rig);
}

/* ---- one record ---- */

Test(watch, spool_show_ends_with_what_the_transcoder_said, .timeout = 120)
{
    char id[64];
    struct rig *rig = with_one_that_waits(id);
    TEXT(log) = rig_path(rig, "agent/spool/%s/transcoder.log", id);
    file_write(log, "first\nlast \033[2J line\n", 0600);
    RUN(show) = rig_agent(rig, (const char *[]){"spool", "show", id, NULL});
    cr_assert_eq(show.status, 0, "%s", show.err);
    cr_assert(strstr(show.out, "last ") && strstr(show.out, "completion_token"), "%s", show.out);
    cr_assert(!strchr(show.out, '\033'), "%s", show.out);
    RUN(none) = rig_agent(rig, (const char *[]){"spool", "show", "99.1", NULL});
    cr_assert_eq(none.status, EXIT_DATA, "%d", none.status);
    RUN(list) = rig_agent(rig, (const char *[]){"spool", "ls", NULL});
    cr_assert(strstr(list.out, "store_unavailable") && strstr(list.out, "sealed"), "%s", list.out);
    finish(rig);
}

/* ---- fsck ---- */

static int fsck(struct rig *rig, const char *option, char text[4096])
{
    RUN(run) = rig_agent(rig, (const char *[]){"spool", "fsck", option, NULL});
    snprintf(text, 4096, "%s%s", run.out, run.err);
    return run.status;
}

Test(watch, fsck_finds_a_changed_output_and_touches_nothing, .timeout = 120)
{
    char id[64], text[4096];
    struct rig *rig = with_one_that_waits(id);
    cr_assert_eq(fsck(rig, NULL, text), 0, "%s", text);
    TEXT(segment) = rig_path(rig, "agent/spool/%s/output/360p/init.mp4", id);
    TEXT(aside) = must_printf("%s.aside", segment);
    cr_assert_eq(rename(segment, aside), 0);
    file_write(segment, "not what it was", 0600);
    cr_assert_eq(fsck(rig, NULL, text), EXIT_DATA, "%s", text);
    cr_assert(strstr(text, "360p") && strstr(text, "init.mp4"), "%s", text);
    cr_assert_eq(rename(aside, segment), 0);
    cr_assert_eq(fsck(rig, NULL, text), 0, "%s", text);
    finish(rig);
}

Test(watch, fsck_repairs_by_quarantine_with_and_without_an_agent, .timeout = 120)
{
    char text[4096];
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_start_agent(rig);
    rig_stop_agent(rig);
    TEXT(record) = rig_path(rig, "agent/spool/7.1");
    TEXT(claim) = rig_path(rig, "agent/spool/7.1/claim.json");
    cr_assert_eq(mkdir(record, 0700), 0);
    file_write(claim, "{", 0600);
    cr_assert_eq(fsck(rig, NULL, text), EXIT_DATA, "%s", text);
    cr_assert_eq(inspect_spool_count(rig, "spool"), 1, "it changed something");
    cr_assert_eq(fsck(rig, "--repair", text), 0, "%s", text);
    cr_assert_eq(inspect_spool_count(rig, "quarantine"), 1);
    cr_assert_eq(fsck(rig, NULL, text), 0, "%s", text);
    rig_start_agent(rig);
    rig_end(rig);
}
