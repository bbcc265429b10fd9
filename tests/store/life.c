/* Claims, failures, progress, uploads, release, workers. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "store_rig.h"
#include "verifier/store/key_memory.h"
#include "verifier/store/store_claim.h"
#include "verifier/store/store_key.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define LONG_AGO "'2020-01-01T00:00:00.000000+00:00'"

static void expire_claims(struct rig *rig)
{
    rig_sql(rig, "UPDATE transcoding_jobs SET claimed_at = " LONG_AGO
                 ", claim_expires_at = '2020-01-01T00:30:00.000000+00:00'"
                 " WHERE claimed_at IS NOT NULL");
}

Test(store_claim, hands_out_the_oldest_first_and_each_once)
{
    struct rig *rig = rig_new();
    int64_t first = rig_add_job(rig, "one"), second = rig_add_job(rig, "two");
    struct message_claim claim = rig_claim(rig, &rig->anna, 0);
    cr_expect_eq(claim.job_id, first);
    cr_expect_str_eq(claim.video_slug, "one");
    cr_expect_str_eq(claim.source_filename, "1.mp4");
    cr_expect_eq(claim.claim_epoch, 1);
    cr_expect_eq(claim.attempt_number, 1);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, second);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    cr_expect_eq(rig_claim(rig, &rig->bert, first).job_id, 0);
    rig_free(rig);
}

struct claimant {
    pthread_t thread;
    struct rig *rig;
    int64_t job_id;
};

static void *claim_one(void *ctx)
{
    struct claimant *claimant = ctx;
    claimant->job_id = rig_claim(claimant->rig, &claimant->rig->anna, 0).job_id;
    return NULL;
}

Test(store_claim, thirty_two_claimants_share_eight_jobs)
{
    enum { CLAIMANTS = 32, JOBS = 8 };
    struct rig *rig = rig_new();
    struct claimant claimants[CLAIMANTS];
    int taken[JOBS + 1] = {0};
    for (int i = 0; i < JOBS; i++)
        rig_add_job(rig, NULL);
    for (int i = 0; i < CLAIMANTS; i++) {
        claimants[i].rig = rig;
        pthread_create(&claimants[i].thread, NULL, claim_one, &claimants[i]);
    }
    for (int i = 0; i < CLAIMANTS; i++) {
        pthread_join(claimants[i].thread, NULL);
        taken[claimants[i].job_id]++;
    }
    for (int i = 1; i <= JOBS; i++)
        cr_expect_eq(taken[i], 1, "job %d", i);
    rig_free(rig);
}

Test(store_claim, by_name_is_answered_again_to_its_holder_with_a_new_epoch)
{
    struct rig *rig = rig_new_claimed();
    struct message_claim again = rig_claim(rig, &rig->anna, rig->job);
    cr_expect_eq(again.job_id, rig->job);
    cr_expect_eq(again.claim_epoch, 2);
    cr_expect_eq(again.attempt_number, 1);
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), rig->job),
                 TAILSLATE_STANDING_SUPERSEDED);
    rig_free(rig);
}

Test(store_claim, a_new_holder_starts_clean_but_keeps_what_is_recorded)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    rig_sql(rig, "INSERT INTO video_qualities (video_id, quality, width, height, bitrate)"
                 " VALUES (1, '480p', 854, 480, 1000)");
    rig_claim(rig, &rig->anna, 0);
    cr_expect_eq(rig->discards, 0);
    rig_release(rig, job);
    rig_claim(rig, &rig->anna, 0);
    cr_expect_eq(rig->discards, 0);
    rig_release(rig, job);
    struct message_claim claim = rig_claim(rig, &rig->bert, 0);
    cr_expect_eq(rig->discards, 1);
    cr_expect_eq(rig->discarded,
                 ((1u << TAILSLATE_QUALITY_COUNT) - 1) & ~(1u << TAILSLATE_QUALITY_480P));
    cr_expect(claim.existing_known);
    cr_expect_eq(claim.existing, 1u << TAILSLATE_QUALITY_480P);
    cr_expect_eq(claim.claim_epoch, 3);
    rig_free(rig);
}

/* A claim waits for up to a minute; the key was looked at when it came. */
Test(store_claim, nothing_is_given_to_who_was_disabled_while_it_waited)
{
    struct rig *rig = rig_new_claimed();
    rig_release(rig, rig->job);
    rig_sql(rig, "UPDATE workers SET status = 'disabled' WHERE worker_name = 'anna'");
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, 0);
    cr_expect_eq(rig_claim(rig, &rig->anna, rig->job).job_id, 0);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, rig->job);
    rig_free(rig);
}

Test(store_claim, an_expired_claim_of_a_worker_that_names_it_is_not_handed_out)
{
    struct rig *rig = rig_new_claimed();
    expire_claims(rig);
    rig_beat(rig, &rig->anna, WORKER_BUSY, true, rig->job);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    rig_free(rig);
}

Test(store_claim, an_expired_claim_that_its_worker_does_not_name_is_handed_out)
{
    struct rig *rig = rig_new_claimed();
    rig_beat(rig, &rig->anna, WORKER_BUSY, true, 0);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0, "it has not expired");
    expire_claims(rig);
    rig_beat(rig, &rig->anna, WORKER_BUSY, true, 0);
    struct message_claim claim = rig_claim(rig, &rig->bert, 0);
    cr_expect_eq(claim.job_id, rig->job);
    cr_expect_eq(claim.attempt_number, 1, "releasing charges no attempt");
    rig_free(rig);
}

Test(store_claim, an_expired_claim_of_an_idle_worker_is_handed_out)
{
    struct rig *rig = rig_new_claimed();
    expire_claims(rig);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    rig_beat(rig, &rig->anna, WORKER_IDLE, false, 0);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, rig->job);
    rig_free(rig);
}

/* A heartbeat from before the claim says nothing about it. */
Test(store_claim, a_heartbeat_from_before_the_claim_releases_nothing)
{
    struct rig *rig = rig_new();
    rig_add_job(rig, "film");
    rig_beat(rig, &rig->anna, WORKER_IDLE, true, 0);
    rig_claim(rig, &rig->anna, 0);
    rig_sql(rig, "UPDATE transcoding_jobs SET claim_expires_at = claimed_at");
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    rig_free(rig);
}

/* The server was down, too: nobody could be heard. */
Test(store_claim, silence_counts_only_while_the_server_could_hear)
{
    struct rig *rig = rig_new_claimed();
    expire_claims(rig);
    rig_sql(rig, "UPDATE workers SET registered_at = " LONG_AGO ", last_heartbeat = " LONG_AGO);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), rig->job), TAILSLATE_STANDING_LATE);
    rig_free(rig);
}

Test(store_claim, the_expired_claim_of_a_silent_worker_is_handed_out)
{
    struct rig *rig = rig_new_with(RIG_CLAIM_MS, 0);
    int64_t job = rig_add_job(rig, "film");
    rig_claim(rig, &rig->anna, 0);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0, "it has not expired");
    expire_claims(rig);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, job);
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), job), TAILSLATE_STANDING_SUPERSEDED);
    rig_free(rig);
}

Test(store_claim, what_is_completed_or_deleted_is_never_handed_out)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film"), other = rig_add_job(rig, "other");
    rig_claim(rig, &rig->anna, job);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 1);
    rig_sql(rig, "UPDATE videos SET deleted_at = " LONG_AGO " WHERE id = 2");
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, 0);
    cr_expect_eq(rig_claim(rig, &rig->anna, job).job_id, 0);
    cr_expect_eq(rig_claim(rig, &rig->anna, other).job_id, 0);
    rig_free(rig);
}

Test(store_fail, is_recorded_per_claim_and_its_replay_charges_nothing)
{
    struct rig *rig = rig_new_claimed();
    struct store_caller anna = rig_caller(&rig->anna, 1);
    struct store_failed first = rig_fail(rig, anna, rig->job, true);
    cr_expect(first.will_retry);
    cr_expect_eq(first.attempt_number, 1);
    cr_expect_not(first.replayed);
    struct store_failed again = rig_fail(rig, anna, rig->job, true);
    cr_expect(again.replayed);
    cr_expect(again.will_retry);
    cr_expect_eq(again.attempt_number, 1);
    cr_expect_eq(rig_number(rig, "SELECT attempt_number FROM transcoding_jobs"), 2);
    cr_expect_eq(rig_progress(rig, anna, rig->job), TAILSLATE_STANDING_FAILED);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).attempt_number, 2);
    cr_expect_eq(rig_fail(rig, anna, rig->job, true).standing, TAILSLATE_STANDING_SUPERSEDED);
    rig_free(rig);
}

/* Another node may do what this one could not; alone, it tries again all the same. */
Test(store_fail, a_job_comes_last_for_the_worker_that_failed_at_it)
{
    struct rig *rig = rig_new();
    int64_t first = rig_add_job(rig, "one"), second = rig_add_job(rig, "two");
    cr_assert_eq(rig_claim(rig, &rig->anna, 0).job_id, first);
    rig_fail(rig, rig_caller(&rig->anna, 1), first, true);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, second);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, first);
    rig_fail(rig, rig_caller(&rig->bert, 2), first, true);
    cr_expect_eq(rig_claim(rig, &rig->anna, 0).job_id, first);
    rig_free(rig);
}

Test(store_fail, the_last_attempt_is_final_and_its_replay_says_so_again)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    struct store_failed failed = {.will_retry = true};
    for (int i = 1; i <= 3; i++) {
        cr_assert(failed.will_retry);
        rig_claim(rig, &rig->anna, 0);
        failed = rig_fail(rig, rig_caller(&rig->anna, i), job, true);
        cr_expect_eq(failed.attempt_number, i);
    }
    cr_expect_not(failed.will_retry);
    rig_expect(rig, "failed: it broke",
               "SELECT v.status || ': ' || v.error_message FROM videos v,"
               " transcoding_jobs j WHERE j.completed_at IS NOT NULL");
    failed = rig_fail(rig, rig_caller(&rig->anna, 3), job, true);
    cr_expect(failed.replayed);
    cr_expect_not(failed.will_retry);
    cr_expect_eq(rig_present(rig, rig_caller(&rig->anna, 3), job, 1), TAILSLATE_VERDICT_GONE);
    rig_free(rig);
}

Test(store_fail, changes_nothing_on_a_completed_job)
{
    struct rig *rig = rig_new_claimed();
    rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1);
    struct store_failed failed = rig_fail(rig, rig_caller(&rig->anna, TAILSLATE_ABSENT_INT),
                                          rig->job, true);
    cr_expect_eq(failed.standing, TAILSLATE_STANDING_COMPLETED);
    cr_expect_not(failed.will_retry);
    struct store_worker carl = rig_add_worker(rig, "carl");
    cr_expect_eq(rig_fail(rig, rig_caller(&carl, TAILSLATE_ABSENT_INT), rig->job, true).standing,
                 TAILSLATE_STANDING_NOT_YOURS);
    rig_expect(rig, "ready", "SELECT status FROM videos");
    rig_free(rig);
}

Test(store_progress, takes_a_released_claim_back_with_the_same_epoch)
{
    struct rig *rig = rig_new_claimed();
    rig_release(rig, rig->job);
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), rig->job), TAILSLATE_STANDING_LATE);
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), rig->job), TAILSLATE_STANDING_HELD);
    cr_expect_eq(rig_number(rig, "SELECT claim_epoch FROM job_epochs"), 1);
    cr_expect_eq(rig_claim(rig, &rig->bert, 0).job_id, 0);
    rig_expect(rig, "processing", "SELECT status FROM videos");
    rig_free(rig);
}

Test(store_progress, changes_nothing_on_a_completed_job)
{
    struct rig *rig = rig_new_claimed();
    rig_present(rig, rig_caller(&rig->anna, 1), rig->job, 1);
    cr_expect_eq(rig_progress(rig, rig_caller(&rig->anna, 1), rig->job),
                 TAILSLATE_STANDING_COMPLETED);
    cr_expect_eq(rig_number(rig, "SELECT progress_percent FROM transcoding_jobs"), 100);
    cr_expect_eq(rig_number(rig, "SELECT claimed_at IS NULL FROM transcoding_jobs"), 1);
    rig_free(rig);
}

static int refuse_publish(void *ctx, struct error *err)
{
    (void)ctx;
    return error_set(err, ERROR_TEMPORARY, ENOSPC, "the disk is full");
}

Test(store_upload, publishes_only_for_the_holder)
{
    struct rig *rig = rig_new_claimed();
    int published = 0;
    enum tailslate_standing standing;
    struct error err;
    struct store_worker carl = rig_add_worker(rig, "carl");
    struct store_caller anna = rig_caller(&rig->anna, 1),
                        never = rig_caller(&carl, TAILSLATE_ABSENT_INT);
    cr_assert_eq(
        store_upload(rig->store, &anna, rig->job, rig_publish, &published, &standing, &err), 0);
    cr_expect_eq(published, 1);
    store_upload(rig->store, &never, rig->job, rig_publish, &published, &standing, &err);
    cr_expect_eq(standing, TAILSLATE_STANDING_NOT_YOURS);
    cr_expect_eq(published, 1);
    rig_free(rig);
}

Test(store_upload, that_cannot_be_published_leaves_the_claim_as_it_was)
{
    struct rig *rig = rig_new_claimed();
    enum tailslate_standing standing;
    struct error err;
    expire_claims(rig);
    struct store_caller anna = rig_caller(&rig->anna, 1);
    cr_assert_eq(store_upload(rig->store, &anna, rig->job, refuse_publish, NULL, &standing, &err),
                 -1);
    cr_expect_eq(err.code, ENOSPC);
    cr_expect_eq(rig_progress(rig, anna, rig->job), TAILSLATE_STANDING_LATE);
    rig_free(rig);
}

Test(store_release, keeps_the_epoch_and_the_last_holder_and_spares_what_is_completed)
{
    struct rig *rig = rig_new();
    int64_t job = rig_add_job(rig, "film");
    cr_expect_eq(rig_release(rig, job), STORE_RELEASE_UNCLAIMED);
    cr_expect_eq(rig_release(rig, 99), STORE_RELEASE_NO_JOB);
    rig_claim(rig, &rig->anna, 0);
    cr_expect_eq(rig_release(rig, job), STORE_RELEASED);
    cr_expect_eq(rig_number(rig, "SELECT claim_epoch FROM transcoding_jobs, job_epochs WHERE"
                                 " worker_id IS NULL AND processed_by_worker_id IS NOT NULL"),
                 1);
    rig_present(rig, rig_caller(&rig->anna, 1), job, 1);
    cr_expect_eq(rig_release(rig, job), STORE_RELEASE_COMPLETED);
    rig_free(rig);
}

static enum store_key look(struct store *store, const char *key)
{
    struct store_worker worker;
    struct error err;
    enum store_key found;
    cr_assert_eq(store_worker_by_key(store, key, &found, &worker, &err), 0, "%s", err.message);
    return found;
}

/* What is asked KEY_MEMORY_MS after the commit is refused; what before, perhaps. */
static void expect_out_within_a_second(struct store *other, const char *key, enum store_key wanted)
{
    int64_t since_ms = mono_ms(), asked_ms;
    enum store_key found;
    do {
        asked_ms = mono_ms();
        found = look(other, key);
    } while (found == STORE_KEY_GOOD && asked_ms - since_ms < KEY_MEMORY_MS);
    cr_expect_eq(found, wanted, "%d after %d ms", found, (int)(asked_ms - since_ms));
}

Test(store_worker, a_key_that_ends_is_refused_here_at_once_and_by_another_verifier_in_a_second)
{
    struct rig *rig = rig_new();
    struct error err;
    bool revoked;
    struct store *other = rig_open(rig, rig->url, &err);
    cr_assert(other, "%s", err.message);
    struct store_registration dora = {.name = "dora", .type = "remote"};
    cr_assert_eq(store_worker_register(rig->store, &dora, &err), 0);
    cr_expect_eq(look(rig->store, dora.api_key), STORE_KEY_GOOD);
    cr_expect_eq(look(other, dora.api_key), STORE_KEY_GOOD);
    struct store_rotation rotation = {.worker = "dora"};
    cr_assert_eq(store_worker_rotate(rig->store, &rotation, &err), 0);
    cr_expect_eq(look(rig->store, dora.api_key), STORE_KEY_OVER);
    expect_out_within_a_second(other, dora.api_key, STORE_KEY_OVER);

    cr_expect_eq(look(rig->store, rotation.api_key), STORE_KEY_GOOD);
    cr_expect_eq(look(other, rotation.api_key), STORE_KEY_GOOD);
    cr_assert_eq(store_worker_revoke(rig->store, dora.worker_id, &revoked, &err), 0);
    cr_expect_eq(look(rig->store, rotation.api_key), STORE_KEY_OVER);
    expect_out_within_a_second(other, rotation.api_key, STORE_KEY_OVER);
    rig_sql(rig, "UPDATE worker_api_keys SET revoked_at = NULL");
    cr_expect_eq(look(other, rotation.api_key), STORE_KEY_DISABLED);
    store_close(other);
    rig_free(rig);
}

Test(store_worker, a_key_is_good_to_its_end_and_not_a_second_longer)
{
    struct rig *rig = rig_new();
    struct error err;
    struct store_registration dora = {.name = "dora", .type = "remote"};
    cr_assert_eq(store_worker_register(rig->store, &dora, &err), 0);
    struct store_rotation rotation = {.worker = "dora", .overlap_ms = KEY_MEMORY_MS - 1};
    cr_assert_eq(store_worker_rotate(rig->store, &rotation, &err), 0);
    cr_expect_eq(look(rig->store, dora.api_key), STORE_KEY_GOOD);
    rig->ahead_ms = KEY_MEMORY_MS;
    cr_expect_eq(look(rig->store, dora.api_key), STORE_KEY_OVER);
    rig_free(rig);
}

Test(store_worker, keys_are_stored_as_hashes_and_die_with_a_revocation)
{
    struct rig *rig = rig_new();
    struct store_registration registration = {.name = "carla", .type = "remote"};
    struct store_worker worker;
    struct error err;
    enum store_key found;
    bool revoked;
    char sql[256];
    store_worker_register(rig->store, &registration, &err);
    cr_expect_eq(strlen(registration.api_key), 43);
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM worker_api_keys WHERE key_hash LIKE '%%%s%%'",
             registration.api_key);
    cr_expect_eq(rig_number(rig, sql), 0);
    store_worker_by_key(rig->store, "nonsense", &found, &worker, &err);
    cr_expect_eq(found, STORE_KEY_UNKNOWN);
    registration.api_key[42] = registration.api_key[42] == 'A' ? 'B' : 'A';
    store_worker_by_key(rig->store, registration.api_key, &found, &worker, &err);
    cr_expect_eq(found, STORE_KEY_UNKNOWN);

    store_worker_register(rig->store, &registration, &err);
    store_worker_by_key(rig->store, registration.api_key, &found, &worker, &err);
    cr_expect_eq(found, STORE_KEY_GOOD);
    store_worker_revoke(rig->store, registration.worker_id, &revoked, &err);
    cr_expect(revoked);
    store_worker_by_key(rig->store, registration.api_key, &found, &worker, &err);
    cr_expect_eq(found, STORE_KEY_OVER);
    store_worker_revoke(rig->store, "nobody", &revoked, &err);
    cr_expect_not(revoked);
    rig_free(rig);
}

Test(store, a_schema_from_the_future_is_refused)
{
    struct rig *rig = rig_new();
    struct error err;
    rig_sql(rig, "UPDATE schema_version SET version = 99");
    cr_expect_null(rig_open(rig, rig->url, &err));
    cr_expect(strstr(err.message, "99"), "%s", err.message);
    rig_free(rig);
}
