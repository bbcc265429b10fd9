/* What the overview shows of jobs and workers, on every database. */
#include "lib/json.h"
#include "store_rig.h"
#include "verifier/store/store_activity.h"
#include "verifier/store/store_overview.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct json *list_of(const struct json *root, const char *key, int count)
{
    const struct json *list = json_get(root, key);
    cr_assert(list && json_count(list) == count, "%s: %d", key, json_count(list));
    return list;
}

static void is_job(const struct json *list, int index, int64_t wanted)
{
    int64_t id = 0;
    json_get_int(json_at(list, index), "job_id", 0, INT64_MAX, &id);
    cr_assert_eq(id, wanted);
}

static struct json *read_all(struct rig *rig)
{
    struct error err;
    struct json *root = json_new_object(), *workers;
    cr_assert_eq(store_activity(rig->store, root, &workers, &err), 0, "%s", err.message);
    json_set(root, "timed", workers);
    return root;
}

Test(activity, tells_running_waiting_and_failed_jobs_apart)
{
    struct rig *rig = rig_new();
    int64_t failed = rig_add_job(rig, "failed"), running = rig_add_job(rig, "running"),
            other = rig_add_job(rig, "other"), waiting = rig_add_job(rig, "waiting"),
            later = rig_add_job(rig, "later");
    struct message_claim claim = rig_claim(rig, &rig->anna, failed);
    rig_fail(rig, rig_caller(&rig->anna, claim.claim_epoch), failed, false);
    claim = rig_claim(rig, &rig->anna, running);
    rig_progress(rig, rig_caller(&rig->anna, claim.claim_epoch), running);
    rig_claim(rig, &rig->bert, other);
    JSON(root) = read_all(rig);
    is_job(list_of(root, "failed", 1), 0, failed);
    is_job(list_of(root, "running", 2), 0, running);
    is_job(list_of(root, "running", 2), 1, other);
    is_job(list_of(root, "waiting", 2), 0, waiting);
    is_job(list_of(root, "waiting", 2), 1, later);
    const struct json *first = json_at(json_get(root, "running"), 0);
    cr_assert_eq(json_count(json_get(first, "quality_progress")),
                 (int)rig_half_way().quality_count);
    cr_assert_not(json_get(json_at(json_get(root, "running"), 1), "quality_progress"));
    rig_free(rig);
}

/* The version of the overview must not change with each heartbeat. */
Test(activity, keeps_the_times_of_heartbeats_apart)
{
    struct rig *rig = rig_new();
    rig_beat(rig, &rig->anna, WORKER_IDLE, false, 0);
    JSON(root) = read_all(rig);
    int count = json_count(json_get(root, "timed"));
    const struct json *plain = list_of(root, "workers", count);
    cr_assert_geq(count, 2);
    bool has_time = false;
    for (int i = 0; i < count; i++) {
        cr_assert_not(json_get(json_at(plain, i), "last_heartbeat"));
        has_time |= json_get(json_at(json_get(root, "timed"), i), "last_heartbeat") != NULL;
    }
    cr_assert(has_time);
    rig_free(rig);
}

Test(activity, the_overview_has_the_title_and_the_warnings_of_a_completion)
{
    struct rig *rig = rig_new_claimed();
    struct tailslate_completion completion = rig_completion(rig->job, 1);
    completion.warnings = (struct tailslate_warnings){.count = 1};
    snprintf(completion.warnings.texts[0], sizeof completion.warnings.texts[0], "no sound");
    rig_complete(rig, rig_caller(&rig->anna, 1), rig->job, &completion);
    struct store_overview overview;
    struct error err;
    cr_assert_eq(store_overview(rig->store, &overview, &err), 0, "%s", err.message);
    cr_assert_eq(overview.recent_count, (size_t)1);
    cr_assert(overview.recent[0].title[0]);
    cr_assert_eq(overview.recent[0].warnings.count, (size_t)1);
    cr_assert_str_eq(overview.recent[0].warnings.texts[0], "no sound");
    store_overview_fini(&overview);
    rig_free(rig);
}
