/* The verifier dies by SIGKILL around a completion and around the delivery of its event. However it
 * dies, there is an event if and only if the completion is committed, and it reaches the receiver,
 * with one ID. */
#include "base/crash.h"
#include "gated.h"
#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "receiver.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

enum { DEATH_MS = 20 * 1000 };
#define EVENTS "SELECT count(*) FROM webhook_events"

struct crash_case {
    int point;
    bool is_committed;
    char what[100];
};
static struct crash_case cases[] = {
    {CRASH_VERIFIER_IN_TRANSACTION, false, "before the commit"},
    {CRASH_VERIFIER_COMMITTED, true, "after the commit"},
};
enum { CASE_COUNT = sizeof cases / sizeof *cases };

ParameterizedTestParameters(webhook_crash, an_event_is_there_with_its_completion_and_arrives)
{
    return cr_make_param_array(struct crash_case, cases, CASE_COUNT);
}

static void forget_dead(struct rig *rig)
{
    process_free(rig->verifier);
    rig->verifier = NULL;
}

static void await_death(struct rig *rig, const struct crash_case *crash, const char *flag)
{
    cr_assert(inspect_wait_file(flag, false, DEATH_MS), "%s was never reached", crash->what);
    cr_assert_eq(process_wait(rig->verifier, DEATH_MS), 128 + 9);
    forget_dead(rig);
}

ParameterizedTest(struct crash_case *crash, webhook_crash,
                  an_event_is_there_with_its_completion_and_arrives, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = receiver_start(rig, "held; 200 {}");
    char delivery[RECEIVER_ID_BYTES];
    TEXT(flag) = rig_path(rig, "crash.flag");
    file_write(flag, "", 0600);
    TEXT(variable) = must_printf("%d:%s", crash->point, flag);
    rig_set_env(rig, "TAILSLATE_CRASH", variable);
    struct scene scene = gated_scene(rig);
    REPLY(lost) = worker_complete(&scene.worker, scene.token);
    await_death(rig, crash, flag);
    cr_assert_eq(inspect_int(rig, "SELECT count(*) FROM completions"), crash->is_committed);
    cr_assert_eq(inspect_int(rig, EVENTS), crash->is_committed, "%s", crash->what);

    rig_start_verifier(rig);
    REPLY(again) = worker_complete(&scene.worker, scene.token);
    reply_is(&again, 200, NULL);
    peer_wait(peer, RECEIVER_POST, 1, RECEIVER_MS);
    receiver_check(peer, 0, RECEIVER_SECRET, delivery);
    peer_release(peer);
    inspect_wait_int(rig, 1, RECEIVER_MS, EVENTS " WHERE outcome = 'delivered'");
    cr_assert_eq(inspect_int(rig, EVENTS), 1);
    rig_end(rig);
    peer_stop(peer);
}

/* It is told about the event once more, by the same ID. */
static void expect_once_more(struct rig *rig, struct peer *peer)
{
    char first[RECEIVER_ID_BYTES], second[RECEIVER_ID_BYTES];
    cr_assert_eq(inspect_int(rig, EVENTS " WHERE ended_at IS NULL"), 1);
    rig_start_verifier(rig);
    inspect_wait_int(rig, 1, RECEIVER_MS, EVENTS " WHERE outcome = 'delivered'");
    cr_assert_eq(peer_count(peer, RECEIVER_POST), 2);
    receiver_check(peer, 0, RECEIVER_SECRET, first);
    receiver_check(peer, 1, RECEIVER_SECRET, second);
    cr_assert_str_eq(first, second);
}

Test(webhook_crash, before_the_receiver_has_answered_the_event_is_sent_again, .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = receiver_start(rig, "held; 200 {}");
    struct scene scene = gated_scene(rig);
    REPLY(done) = worker_complete(&scene.worker, scene.token);
    reply_is(&done, 200, NULL);
    peer_wait(peer, RECEIVER_POST, 1, RECEIVER_MS);
    process_kill(rig->verifier);
    forget_dead(rig);
    expect_once_more(rig, peer);
    rig_end(rig);
    peer_stop(peer);
}

struct receiver_lock {
    const struct rig *rig;
    struct sqlite3 *held; /* NULL: not yet */
};

/* The receiver accepts the event while the database cannot be written. */
static char *accept_under_lock(void *ctx, const struct peer_request *request)
{
    struct receiver_lock *lock = ctx;
    (void)request;
    if (!lock->held)
        lock->held = inspect_lock_database(lock->rig);
    return must_strdup("200 {}");
}

Test(webhook_crash, between_the_receivers_answer_and_its_record_the_event_is_sent_again,
     .timeout = 120)
{
    struct rig *rig = rig_new();
    struct peer *peer = receiver_start(rig, "ask");
    struct receiver_lock lock = {.rig = rig};
    peer_ask(peer, accept_under_lock, &lock);
    struct scene scene = gated_scene(rig);
    REPLY(done) = worker_complete(&scene.worker, scene.token);
    reply_is(&done, 200, NULL);
    peer_wait(peer, RECEIVER_POST, 1, RECEIVER_MS);
    process_expect(rig->verifier, "event=webhook.failing reason=", RECEIVER_MS, NULL);
    process_kill(rig->verifier);
    forget_dead(rig);
    inspect_unlock_database(lock.held);
    expect_once_more(rig, peer);
    rig_end(rig);
    peer_stop(peer);
}
