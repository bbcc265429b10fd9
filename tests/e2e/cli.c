/* The two commands as a person meets them: usage, configuration, what they print. */
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/json.h"
#include "media.h"
#include "worker.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLI_MS = 30 * 1000, EXIT_USAGE = 64, EXIT_TEMPORARY = 75, EXIT_CONFIGURATION = 78 };

static struct run bare(const char *program, const char *first, const char *second,
                       const char *third)
{
    return run_program((const char *[]){program, first, second, third, NULL}, NULL, CLI_MS);
}

Test(cli, help_goes_to_stdout_and_is_no_error)
{
    static const char *const programs[] = {TAILSLATE_AGENT, TAILSLATE_VERIFIER};
    for (size_t i = 0; i < 2; i++) {
        RUN(long_form) = bare(programs[i], "--help", NULL, NULL);
        RUN(short_form) = bare(programs[i], "-h", NULL, NULL);
        cr_assert(long_form.status == 0 && short_form.status == 0);
        cr_assert(strstr(long_form.out, "usage:") && strstr(long_form.out, "version"), "%s",
                  long_form.out);
        cr_assert_str_eq(long_form.out, short_form.out);
        cr_assert_str_eq(long_form.err, "");
    }
}

Test(cli, version_needs_no_configuration)
{
    static const char *const programs[] = {TAILSLATE_AGENT, TAILSLATE_VERIFIER};
    for (size_t i = 0; i < 2; i++) {
        RUN(run) = bare(programs[i], "version", NULL, NULL);
        cr_assert_eq(run.status, 0, "%s", run.err);
        cr_assert(strstr(run.out, TAILSLATE_VERSION), "%s", run.out);
    }
}

Test(cli, a_wrong_command_line_is_said_in_a_line_and_ends_with_64)
{
    static const struct {
        const char *program, *words[3], *said;
    } wrong[] = {
        {TAILSLATE_AGENT, {"dance"}, "tailslate-agent: unknown command 'dance'\n"},
        {TAILSLATE_AGENT, {"--dance"}, "tailslate-agent: unknown option '--dance'\n"},
        {TAILSLATE_AGENT, {"spool"}, "tailslate-agent: spool: missing command\n"},
        {TAILSLATE_AGENT, {"spool", "show"}, "tailslate-agent: spool show: missing ID\n"},
        {TAILSLATE_AGENT, {"spool", "dance"}, "tailslate-agent: spool: unknown command 'dance'\n"},
        {TAILSLATE_AGENT, {"spool", "retry"}, "spool retry: missing ID or --all\n"},
        {TAILSLATE_AGENT, {"-c"}, "tailslate-agent: option '-c' needs a value\n"},
        {TAILSLATE_AGENT, {"drain", "--json"}, "drain: unknown option '--json'\n"},
        {TAILSLATE_VERIFIER, {"dance"}, "tailslate-verifier: unknown command 'dance'\n"},
        {TAILSLATE_VERIFIER, {"job", "add"}, "tailslate-verifier: job add: missing FILE...\n"},
        {TAILSLATE_VERIFIER, {"worker", "add"}, "worker add: missing NAME\n"},
        {TAILSLATE_VERIFIER, {"job", "release"}, "job release: missing ID\n"},
        {TAILSLATE_VERIFIER, {"job", "list", "--dry-run"}, "unknown option '--dry-run'\n"},
        {TAILSLATE_VERIFIER, {"sweep"}, "tailslate-verifier: sweep: missing --once\n"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *const *words = wrong[i].words;
        RUN(run) = bare(wrong[i].program, words[0], words[1], words[2]);
        cr_assert_eq(run.status, EXIT_USAGE, "%s: %d", wrong[i].said, run.status);
        cr_assert(strstr(run.err, wrong[i].said), "%s", run.err);
        cr_assert(strstr(run.err, "--help'.\n"), "%s", run.err);
        cr_assert_str_eq(run.out, "");
    }
}

/* ---- configuration ---- */

struct bad_config {
    bool is_verifier;
    char text[120]; /* the third line of the file is the one that is wrong */
    char named[40]; /* the message holds it */
};

static struct bad_config bad_configs[] = {
    {false, "node: {\n    slots = 1;\n    slotz = 2;\n};\n", "slotz"},
    {false, "node: {\n    name = \"n\";\n    slots = \"two\";\n};\n", "slots"},
    {false, "node: {\n    name = \"n\";\n    slots = 0;\n};\n", "slots"},
    {false, "node: {\n    name = \"n\";\n    slots = 1.5;\n};\n", "slots"},
    {false, "\ntranscode: {\n    recipe = \"magic\"; };\n", "recipe"},
    {false, "node: {\n    name = \"n\"; };\nnodes: { };\n", "nodes"},
    {false, "node: {\n    name = \"n\";\n    state_dir = };\n", ""},
    {true, "listen: {\n    port = 0;\n    prot = 2;\n};\n", "prot"},
    {true, "listen: {\n    address = \"::1\";\n    port = \"http\";\n};\n", "port"},
    {true, "listen: {\n    address = \"::1\";\n    port = 65536;\n};\n", "port"},
};

ParameterizedTestParameters(cli, a_bad_configuration_is_named_by_file_and_line)
{
    return cr_make_param_array(struct bad_config, bad_configs,
                               sizeof bad_configs / sizeof *bad_configs);
}

ParameterizedTest(struct bad_config *bad, cli, a_bad_configuration_is_named_by_file_and_line)
{
    char directory[] = "/tmp/tailslate-cli-XXXXXX";
    cr_assert(mkdtemp(directory));
    TEXT(path) = must_printf("%s/bad.cfg", directory);
    file_write(path, bad->text, 0600);
    RUN(run) = bare(bad->is_verifier ? TAILSLATE_VERIFIER : TAILSLATE_AGENT, "-c", path, NULL);
    TEXT(where) = must_printf("%s:3", path);
    unlink(path);
    rmdir(directory);
    cr_assert_eq(run.status, EXIT_CONFIGURATION, "%d %s", run.status, run.err);
    cr_assert(strstr(run.err, where) && strstr(run.err, bad->named), "%s", run.err);
}

Test(cli, with_a_bad_configuration_nothing_is_touched)
{
    struct rig *rig = rig_new();
    TEXT(state) = rig_path(rig, "not-made");
    TEXT(value) = must_printf("\"%s\"", state);
    rig_agent_set(rig, "node.state_dir", value);
    rig_agent_set(rig, "node.slots", "\"two\"");
    RUN(run) = rig_agent(rig, (const char *[]){"run", NULL});
    cr_assert_eq(run.status, EXIT_CONFIGURATION);
    cr_assert(access(state, F_OK) != 0);
    rig_end(rig);
}

Test(cli, the_environment_overrides_a_key_and_is_checked_alike)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    rig_set_env(rig, "TAILSLATE_NODE_SLOTS", "7");
    RUN(good) = rig_agent(rig, (const char *[]){"check", "--print", NULL});
    cr_assert(strstr(good.out, "slots = 7"), "%s", good.out);
    rig_set_env(rig, "TAILSLATE_NODE_SLOTS", "many");
    RUN(bad) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_assert_eq(bad.status, EXIT_CONFIGURATION);
    cr_assert(strstr(bad.err, "TAILSLATE_NODE_SLOTS"), "%s", bad.err);
    rig_set_env(rig, "TAILSLATE_NODE_SLOTS", "1");
    rig_end(rig);
}

Test(cli, a_key_file_that_others_can_read_is_refused)
{
    struct rig *rig = rig_new();
    TEXT(key) = rig_path(rig, "node.key");
    cr_assert(chmod(key, 0640) == 0);
    RUN(agent) = rig_agent(rig, (const char *[]){"run", NULL});
    cr_assert_eq(agent.status, EXIT_CONFIGURATION, "%d", agent.status);
    cr_assert(strstr(agent.err, key), "%s", agent.err);
    TEXT(secret) = rig_path(rig, "admin.secret");
    cr_assert(chmod(secret, 0604) == 0);
    RUN(verifier) = rig_verifier(rig, (const char *[]){"serve", NULL});
    cr_assert_eq(verifier.status, EXIT_CONFIGURATION, "%d", verifier.status);
    cr_assert(strstr(verifier.err, secret), "%s", verifier.err);
    rig_end(rig);
}

Test(cli, a_missing_configuration_is_named)
{
    static const char *const programs[] = {TAILSLATE_AGENT, TAILSLATE_VERIFIER};
    for (size_t i = 0; i < 2; i++) {
        RUN(run) = bare(programs[i], "-c", "/nowhere/x.cfg", NULL);
        cr_assert_eq(run.status, EXIT_CONFIGURATION, "%d", run.status);
        cr_assert(strstr(run.err, "/nowhere/x.cfg"), "%s", run.err);
    }
}

Test(cli, the_samples_are_what_the_programs_print_and_they_load)
{
    static const char *const both[][2] = {
        {TAILSLATE_AGENT, TAILSLATE_SOURCE_DIR "/agent.cfg.sample"},
        {TAILSLATE_VERIFIER, TAILSLATE_SOURCE_DIR "/verifier.cfg.sample"},
    };
    for (size_t i = 0; i < 2; i++) {
        RUN(printed) = bare(both[i][0], "check", "--sample", NULL);
        TEXT(sample) = file_read(both[i][1]);
        cr_assert_eq(printed.status, 0, "%s", printed.err);
        cr_assert_str_eq(printed.out, sample, "%s is not what the program prints", both[i][1]);
        RUN(loaded) = run_program((const char *[]){both[i][0], "-c", both[i][1], "check", NULL},
                                  NULL, CLI_MS);
        cr_assert(!strstr(loaded.err, ".sample:"), "it does not load: %s", loaded.err);
    }
}

/* ---- check ---- */

Test(cli, check_finds_a_node_well)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    RUN(agent) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_assert_eq(agent.status, 0, "%d\n%s%s", agent.status, agent.out, agent.err);
    RUN(verifier) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_assert_eq(verifier.status, 0, "%d\n%s%s", verifier.status, verifier.out, verifier.err);
    rig_end(rig);
}

Test(cli, check_tells_a_server_that_is_down_from_a_key_that_is_bad)
{
    struct rig *rig = rig_new();
    RUN(down) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_assert_eq(down.status, EXIT_TEMPORARY, "%d %s%s", down.status, down.out, down.err);
    rig_start_verifier(rig);
    TEXT(key) = rig_path(rig, "node.key");
    file_write(key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 0600);
    RUN(bad) = rig_agent(rig, (const char *[]){"check", NULL});
    cr_assert_eq(bad.status, EXIT_CONFIGURATION, "%d %s%s", bad.status, bad.out, bad.err);
    rig_end(rig);
}

/* ---- status and spool ---- */

Test(cli, status_and_spool_show_what_waits_and_why, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = rig_put_peer_between(rig);
    peer_script(peer, "POST *complete", "401 code=unauthorized; stall 60s");
    rig_begin(rig, media_clip(MEDIA_TINY));
    peer_wait(peer, "POST *complete", 2, RIG_JOB_MS);
    TEXT(record) = inspect_record(rig, "spool");
    const char *id = strrchr(record, '/') + 1;
    char token[128];
    inspect_wait_token(rig, token, CLI_MS);

    RUN(list) = rig_agent(rig, (const char *[]){"spool", "ls", NULL});
    cr_assert_eq(list.status, 0, "%s", list.err);
    cr_assert(strstr(list.out, id) && strstr(list.out, "sealed"), "%s", list.out);
    RUN(show) = rig_agent(rig, (const char *[]){"spool", "show", id, NULL});
    cr_assert_eq(show.status, 0, "%s", show.err);
    cr_assert(strstr(show.out, token), "%s", show.out);
    RUN(nothing) = rig_agent(rig, (const char *[]){"spool", "show", "99.1", NULL});
    cr_assert_neq(nothing.status, 0);
    RUN(status) = rig_agent(rig, (const char *[]){"status", NULL});
    cr_assert_eq(status.status, 0, "%s", status.err);
    cr_assert(strstr(status.out, id), "%s", status.out);
    RUN(json) = rig_agent(rig, (const char *[]){"status", "--json", NULL});
    struct error err;
    JSON(parsed) = json_parse(json.out, strlen(json.out), &err);
    cr_assert(parsed && json_is_object(parsed), "%s", json.out);
    rig_kill_node(rig);
    rig_end(rig);
}

/* By hand: an agent would not let a record stand still. */
static void put_record(struct rig *rig)
{
    TEXT(state) = rig_path(rig, "agent");
    TEXT(spool) = rig_path(rig, "agent/spool");
    TEXT(kept) = rig_path(rig, "agent/kept");
    TEXT(quarantine) = rig_path(rig, "agent/quarantine");
    TEXT(foreign) = rig_path(rig, "agent/spool/lost+found");
    TEXT(record) = rig_path(rig, "agent/spool/7.1");
    const char *const made[] = {state, spool, kept, quarantine, foreign, record};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        cr_assert(mkdir(made[i], 0700) == 0 || errno == EEXIST, "%s", made[i]);
    TEXT(claim) = rig_path(rig, "agent/spool/7.1/claim.json");
    file_write(claim,
               "{\"token\":\"7-4f9c1b7e-8a51-4d0c-9b6e-2f7a3c5d1e90\","
               "\"claimed_at\":\"2026-01-03T16:28:00Z\",\"claim\":{\"job_id\":7,\"video_id\":3,"
               "\"video_slug\":\"film\",\"source_filename\":\"film.mp4\","
               "\"claim_expires_at\":\"2026-01-03T16:28:00Z\",\"message\":\"m\"}}",
               0600);
    TEXT(progress) = rig_path(rig, "agent/spool/7.1/progress.json");
    file_write(progress,
               "{\"progress\":{\"current_step\":\"transcode\",\"progress_percent\":40},"
               "\"speed\":0.5,\"eta_seconds\":7384,\"updated_at\":\"2026-01-03T16:28:00Z\"}",
               0600);
}

Test(cli, one_is_one_and_two_hours_are_not_a_hundred_and_twenty_minutes)
{
    struct rig *rig = rig_new();
    put_record(rig);
    RUN(status) = rig_agent(rig, (const char *[]){"status", NULL});
    cr_assert_eq(status.status, 0, "%s", status.err);
    cr_assert(strstr(status.out, "2:03:04 left"), "%s", status.out);
    cr_assert(strstr(status.out, "1 foreign name left alone"), "%s", status.out);
    rig_end(rig);
}

Test(cli, what_a_server_said_cannot_drive_the_terminal)
{
    struct rig *rig = rig_new();
    put_record(rig);
    TEXT(record) = rig_path(rig, "agent/quarantine/8.1");
    TEXT(reason) = rig_path(rig, "agent/quarantine/8.1/reason.json");
    cr_assert_eq(mkdir(record, 0700), 0);
    file_write(reason, "{\"reason\":\"bad_json: \\u001b[2Jno\\nsuch\"}", 0600);
    RUN(list) = rig_agent(rig, (const char *[]){"spool", "ls", NULL});
    cr_assert_eq(list.status, 0, "%s", list.err);
    cr_assert(strstr(list.out, "bad_json: ?[2Jno?such\n"), "%s", list.out);
    rig_end(rig);
}

Test(cli, the_status_of_an_agent_that_is_not_there_is_an_error_that_says_so)
{
    struct rig *rig = rig_new();
    RUN(run) = rig_agent(rig, (const char *[]){"status", NULL});
    cr_assert(run.status != 0 || strstr(run.out, "not running"), "%d %s", run.status, run.out);
    cr_assert(*run.err || *run.out);
    rig_end(rig);
}

/* ---- the verifier's commands ---- */

Test(cli, the_first_number_printed_is_the_id)
{
    struct rig *rig = rig_new();
    RUN(job) = rig_verifier(rig, (const char *[]){"job", "add", media_clip(MEDIA_TINY), "--slug",
                                                  "s9", "--title", "Film 77", NULL});
    cr_assert_eq(job.status, 0, "%s", job.err);
    cr_assert_eq(strtol(job.out + strcspn(job.out, "0123456789"), NULL, 10), 1, "%s", job.out);
    RUN(list) = rig_verifier(rig, (const char *[]){"job", "list", NULL});
    cr_assert(list.status == 0 && strstr(list.out, "s9"), "%s", list.out);
    RUN(show) = rig_verifier(rig, (const char *[]){"job", "show", "1", NULL});
    cr_assert(show.status == 0 && strstr(show.out, "Film 77"), "%s", show.out);
    RUN(workers) = rig_verifier(rig, (const char *[]){"worker", "list", NULL});
    cr_assert(workers.status == 0 && strstr(workers.out, "node"), "%s", workers.out);
    rig_end(rig);
}

Test(cli, job_add_copies_the_file_and_reads_nothing_in_it)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, media_clip(MEDIA_TEXT), "words");
    cr_assert_eq(job, 1);
    TEXT(copy) = rig_path(rig, "uploads/1.mp4");
    TEXT(original) = file_read(media_clip(MEDIA_TEXT));
    TEXT(copied) = file_read(copy);
    cr_assert_str_eq(copied, original);
    struct stat first, second;
    cr_assert(stat(copy, &first) == 0 && stat(media_clip(MEDIA_TEXT), &second) == 0);
    cr_assert_neq(first.st_ino, second.st_ino);
    rig_end(rig);
}

Test(cli, job_add_refuses_what_it_cannot_serve)
{
    struct rig *rig = rig_new();
    TEXT(odd) = rig_path(rig, "film.exe");
    file_write(odd, "x", 0600);
    const char *const wrong[] = {"/nowhere/film.mp4", odd, rig->dir};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        RUN(run) = rig_verifier(rig, (const char *[]){"job", "add", wrong[i], NULL});
        cr_assert_neq(run.status, 0, "%s was taken", wrong[i]);
        cr_assert(strstr(run.err, wrong[i]), "%s", run.err);
    }
    RUN(slug) = rig_verifier(
        rig, (const char *[]){"job", "add", media_clip(MEDIA_TINY), "--slug", "../up", NULL});
    cr_assert_neq(slug.status, 0);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM videos"), 0);
    rig_end(rig);
}

Test(cli, a_verb_on_what_is_not_there_fails)
{
    struct rig *rig = rig_new();
    static const char *const words[][3] = {
        {"job", "show", "9"}, {"job", "release", "9"}, {"worker", "revoke", "9"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        RUN(run) = rig_verifier(rig, (const char *[]){words[i][0], words[i][1], words[i][2], NULL});
        cr_assert(run.status != 0 && *run.err, "%s %s: %d", words[i][0], words[i][1], run.status);
    }
    rig_end(rig);
}

Test(cli, port_0_is_any_free_port_and_the_log_says_which)
{
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "listen.port", "0");
    RUN(prepare) = rig_verifier(rig, (const char *[]){"version", NULL});
    TEXT(config) = rig_path(rig, "verifier.cfg");
    TEXT(log) = rig_path(rig, "free.log");
    struct process *process = process_start(
        (const char *[]){TAILSLATE_VERIFIER, "-c", config, "serve", NULL},
        (const char *const *)rig->env, log, NULL);
    char line[LINE_BYTES], port[16];
    process_expect(process, "event=verifier.ready port=", RIG_START_MS, line);
    cr_assert(line_value(line, "port", port, sizeof port) && strtol(port, NULL, 10) > 0);
    TEXT(url) = must_printf("http://127.0.0.1:%s/api/health", port);
    REPLY(reply) = call_make(&(struct call){.url = url});
    reply_is(&reply, 200, NULL);
    process_free(process);
    rig_end(rig);
}

Test(cli, a_port_that_is_taken_is_named)
{
    struct rig *rig = rig_new();
    rig_start_verifier(rig);
    RUN(second) = rig_verifier(rig, (const char *[]){"serve", NULL});
    TEXT(port) = must_printf("%d", rig->port);
    cr_assert_eq(second.status, EXIT_TEMPORARY, "%d", second.status);
    cr_assert(strstr(second.err, port), "%s", second.err);
    rig_end(rig);
}
