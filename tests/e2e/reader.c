/* The commands that only read, by a user who may only read: while the server runs, when it has
 * stopped, and when it was killed. */
#include "lib/cleanup.h"
#include "lib/error.h"
#include "media.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void shell(const struct rig *rig, const char *script)
{
    TEXT(whole) = must_printf("cd '%s' && %s", rig->dir, script);
    RUN(run) = run_program((const char *[]){"sh", "-c", whole, NULL}, NULL, RIG_START_MS);
    cr_assert_eq(run.status, 0, "%s: %s", script, run.err);
}

/* The database in a directory of its own: everybody may read it, only root may write. The sources
 * and renditions are closed to everybody else, and so is the admin secret. */
static struct rig *rig_for_readers(void)
{
    struct rig *rig = rig_new();
    shell(rig, "mkdir db && mv verifier.db* db/ && chmod 755 . db && chmod 644 db/*");
    TEXT(url) = must_printf("\"sqlite:%s/db/verifier.db\"", rig->dir);
    rig_verifier_set(rig, "store.url", url);
    rig_add_job(rig, media_clip(MEDIA_TINY), "film");
    shell(rig, "chmod 644 verifier.cfg");
    return rig;
}

static struct run as_nobody(const struct rig *rig, const char *first, const char *second,
                            const char *third)
{
    TEXT(config) = rig_path(rig, "verifier.cfg");
    return run_program((const char *[]){"setpriv", "--reuid=65534", "--regid=65534",
                                        "--clear-groups", TAILSLATE_VERIFIER, "-c", config, first,
                                        second, third, NULL},
                       (const char *const *)rig->env, RIG_START_MS);
}

static void expect_answers(const struct rig *rig)
{
    static const char *const commands[][3] = {
        {"status"}, {"job", "list"}, {"job", "show", "1"}, {"worker", "list"}};
    static const char *const words[] = {"1 waiting", "film", "film", "node"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *const *command = commands[i];
        RUN(run) = as_nobody(rig, command[0], command[1], command[2]);
        cr_expect_eq(run.status, 0, "%s %s: %d %s", command[0], command[1] ? command[1] : "",
                     run.status, run.err);
        cr_expect(strstr(run.out, words[i]), "%s", run.out);
    }
}

Test(reader, gets_the_answer_while_the_server_runs_and_after_it_stopped, .timeout = 120)
{
    struct rig *rig = rig_for_readers();
    rig_start_verifier(rig);
    shell(rig, "chmod 644 verifier.cfg");
    expect_answers(rig);
    cr_assert_eq(rig_stop_verifier(rig), 0);
    expect_answers(rig);
    shell(rig, "test ! -e db/verifier.db-shm");
    rig_end(rig);
}

Test(reader, gets_the_answer_after_the_server_was_killed, .timeout = 120)
{
    struct rig *rig = rig_for_readers();
    rig_start_verifier(rig);
    shell(rig, "chmod 644 verifier.cfg");
    process_kill(rig->verifier);
    process_free(rig->verifier);
    rig->verifier = NULL;
    expect_answers(rig);
    /* Copied without its shared memory: only who may create that can read the log. */
    shell(rig, "rm db/verifier.db-shm");
    RUN(status) = as_nobody(rig, "status", NULL, NULL);
    cr_expect_neq(status.status, 0);
    cr_expect(strstr(status.err, "run this as the service's user"), "%s", status.err);
    rig_end(rig);
}

Test(reader, makes_no_database_and_changes_nothing)
{
    struct rig *rig = rig_for_readers();
    shell(rig, "mkdir empty && sha256sum db/verifier.db >sums");
    RUN(list) = rig_verifier(rig, (const char *[]){"job", "list", NULL});
    cr_expect_eq(list.status, 0, "%s", list.err);
    shell(rig, "sha256sum --check --quiet sums");
    TEXT(url) = must_printf("\"sqlite:%s/empty/verifier.db\"", rig->dir);
    rig_verifier_set(rig, "store.url", url);
    RUN(none) = rig_verifier(rig, (const char *[]){"job", "list", NULL});
    cr_expect_eq(none.status, 75, "%d %s", none.status, none.err);
    cr_expect(strstr(none.err, "No such file or directory"), "%s", none.err);
    shell(rig, "test -z \"$(ls empty)\"");
    rig_end(rig);
}

Test(reader, is_told_where_the_database_is_closed_to_it)
{
    struct rig *rig = rig_for_readers();
    shell(rig, "chmod 600 db/verifier.db");
    RUN(status) = as_nobody(rig, "status", NULL, NULL);
    cr_expect_eq(status.status, 78, "%d %s", status.status, status.err);
    cr_expect(strstr(status.err, "cannot read") && strstr(status.err, "Permission denied"), "%s",
              status.err);
    rig_end(rig);
}
