/* The agent after a long outage: a spool full of sealed completions, and a server that accepts
 * them. */
#include "backlog.h"

#include "inspect.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "rig.h"
#include "scripted.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    RECORDS = 1000,
    FIRST_JOB = 5001,
    SHUFFLED_MAX = 64, /* several are in flight: they arrive a few places from their turn */
    DELIVERED_MS = 400 * 1000,
};

static struct rig *with_backlog(struct peer *peer)
{
    struct rig *rig = rig_new();
    TEXT(url) = must_printf("http://127.0.0.1:%d", peer_port(peer));
    TEXT(state) = rig_path(rig, "agent");
    settings_set_text(&rig->agent_settings, "server.url", url);
    rig_agent_set(rig, "retry.rate_per_second", "1000");
    scripted_server(peer, SCRIPTED_NO_JOB, "200 ack");
    backlog_write(state, FIRST_JOB, RECORDS);
    return rig;
}

static int job_of(const struct peer_request *request)
{
    int64_t job_id = 0;
    cr_assert(sscanf(request->path, "/api/worker/%" SCNd64 "/complete", &job_id) == 1);
    return (int)(job_id - FIRST_JOB);
}

/* The job with the highest ID is the oldest. */
static void check_order(struct peer *peer)
{
    bool is_known[RECORDS] = {false};
    for (int i = 0; i < RECORDS; i++) {
        int job = job_of(peer_request(peer, "POST *complete", i)), turn = RECORDS - 1 - job;
        cr_assert(job >= 0 && job < RECORDS && !is_known[job] && abs(turn - i) <= SHUFFLED_MAX,
                  "job %d was presented as number %d, or again", job, i);
        is_known[job] = true;
    }
}

Test(backlog, every_record_is_delivered_once_and_the_oldest_first, .timeout = 600)
{
    struct peer *peer = peer_start();
    struct rig *rig = with_backlog(peer);
    rig_start_agent(rig);
    peer_wait(peer, "POST *complete", RECORDS, DELIVERED_MS);
    inspect_wait_spool(rig, "spool", 0, RIG_JOB_MS);
    check_order(peer);
    cr_expect_eq(peer_count(peer, "POST *complete"), RECORDS);
    cr_expect_eq(rig_count_lines(rig, "event=job.final outcome=completed"), RECORDS);
    rig_end(rig);
    peer_stop(peer);
}
