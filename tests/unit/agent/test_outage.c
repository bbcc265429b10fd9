/* A week without the server, by an injected clock: the pure pacing of courier and heartbeat, with
 * the default configuration, for a fleet that has finished work in hand. What the courier and the
 * heartbeat decide is decided by the same functions here; only the clock is ours.
 *
 * With TAILSLATE_OUTAGE_CSV=FILE the numbers of the return are written there, a line a second:
 * tests/bench/outage.sh makes the picture of docs/ from them. */
#include "agent/api/delivery.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>

enum { AGENTS = 200, RECORDS = 3, HOUR_MS = 3600 * 1000, RETURN_S = 360 };
static const int64_t week_ms = INT64_C(7) * 24 * HOUR_MS;
static const struct tailslate_backoff house = {.base_ms = 1000, .cap_ms = 300 * 1000};
static const struct tailslate_backoff heart = {.base_ms = 1000, .cap_ms = 60 * 1000};
static const double rate_per_second = 5;

/* splitmix64: the same numbers on every machine. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct waiting {
    int64_t due_ms;
    unsigned failures;
    bool is_delivered;
};

struct agent {
    struct waiting records[RECORDS], heartbeat;
    int64_t not_before_ms; /* the courier's pace */
    uint64_t random;
    bool is_back;
};

struct fleet {
    int64_t attempts_last_day, longest_gap_ms;
    int contacts[RETURN_S], deliveries[RETURN_S], calls[RETURN_S];
};

static void count_call(struct fleet *fleet, int64_t now_ms)
{
    int64_t second = (now_ms - week_ms) / 1000;
    if (second >= 0 && second < RETURN_S)
        fleet->calls[second]++;
}

static void come_back(struct fleet *fleet, struct agent *agent, int64_t now_ms)
{
    if (agent->is_back)
        return;
    agent->is_back = true;
    cr_assert_lt((now_ms - week_ms) / 1000, RETURN_S);
    fleet->contacts[(now_ms - week_ms) / 1000]++;
    uint64_t random = next_random(&agent->random);
    for (int i = 0; i < RECORDS; i++)
        agent->records[i].due_ms = tailslate_backoff_wake_ms(
            agent->records[i].due_ms, 0, now_ms, (int64_t)(1000 / rate_per_second), random);
}

static void attempt(struct fleet *fleet, struct agent *agent, struct waiting *record,
                    int64_t now_ms)
{
    count_call(fleet, now_ms);
    agent->not_before_ms = now_ms + (int64_t)(1000 / rate_per_second);
    if (now_ms >= week_ms) {
        record->is_delivered = true;
        fleet->deliveries[(now_ms - week_ms) / 1000]++;
        come_back(fleet, agent, now_ms);
        return;
    }
    fleet->attempts_last_day += now_ms >= week_ms - 24 * HOUR_MS;
    int64_t delay_ms = delivery_delay_ms(DELIVERY_AGAIN, house, ++record->failures, -1,
                                         next_random(&agent->random));
    record->due_ms = now_ms + delay_ms;
    if (delay_ms > fleet->longest_gap_ms)
        fleet->longest_gap_ms = delay_ms;
}

static void beat(struct fleet *fleet, struct agent *agent, int64_t now_ms)
{
    struct waiting *heartbeat = &agent->heartbeat;
    count_call(fleet, now_ms);
    if (now_ms >= week_ms) {
        come_back(fleet, agent, now_ms);
        heartbeat->due_ms = now_ms + 30 * 1000;
        return;
    }
    heartbeat->due_ms = now_ms + tailslate_backoff_delay_ms(heart, heartbeat->failures++, -1,
                                                            next_random(&agent->random));
}

static struct waiting *soonest(struct agent *agent)
{
    struct waiting *first = NULL;
    for (int i = 0; i < RECORDS; i++)
        if (!agent->records[i].is_delivered && (!first || agent->records[i].due_ms < first->due_ms))
            first = &agent->records[i];
    return first;
}

static void live(struct fleet *fleet, struct agent *agent)
{
    for (;;) {
        struct waiting *record = soonest(agent);
        if (!record)
            return;
        int64_t at_ms = record->due_ms > agent->not_before_ms ? record->due_ms
                                                              : agent->not_before_ms;
        if (agent->heartbeat.due_ms <= at_ms)
            beat(fleet, agent, agent->heartbeat.due_ms);
        else
            attempt(fleet, agent, record, at_ms);
    }
}

static void write_numbers(const struct fleet *fleet)
{
    const char *path = getenv("TAILSLATE_OUTAGE_CSV");
    STREAM(file) = path ? fopen(path, "we") : NULL;
    if (!file)
        return;
    fprintf(file, "# attempts an hour and record at the cap: %.2f; longest pause %lld s\n",
            (double)fleet->attempts_last_day / 24 / (AGENTS * RECORDS),
            (long long)(fleet->longest_gap_ms / 1000));
    fputs("second,agents_back,deliveries,calls\n", file);
    for (int i = 0; i < RETURN_S; i++)
        fprintf(file, "%d,%d,%d,%d\n", i, fleet->contacts[i], fleet->deliveries[i],
                fleet->calls[i]);
}

static struct fleet run_week(void)
{
    struct fleet fleet = {0};
    for (uint64_t i = 0; i < AGENTS; i++) {
        /* All of them lost the server in the same moment. */
        struct agent agent = {.random = i * UINT64_C(0xd1342543de82ef95) + 1};
        live(&fleet, &agent);
    }
    write_numbers(&fleet);
    return fleet;
}

Test(outage, a_week_costs_two_dozen_attempts_an_hour_and_loses_nothing)
{
    struct fleet fleet = run_week();
    double attempts = (double)fleet.attempts_last_day / 24 / (AGENTS * RECORDS);
    cr_expect(attempts > 20 && attempts < 28, "%.2f an hour", attempts);
    cr_expect_leq(fleet.longest_gap_ms, 300 * 1000);
    int delivered = 0;
    for (int i = 0; i < RETURN_S; i++)
        delivered += fleet.deliveries[i];
    cr_expect_eq(delivered, AGENTS * RECORDS, "%d", delivered);
}

Test(outage, two_hundred_agents_do_not_come_back_in_step)
{
    struct fleet fleet = run_week();
    int busiest = 0, back = 0, second = 0;
    for (int i = 0; i < RETURN_S; i++)
        busiest = fleet.calls[i] > busiest ? fleet.calls[i] : busiest;
    while (second < RETURN_S && back < AGENTS)
        back += fleet.contacts[second++];
    cr_expect_leq(busiest, 80, "%d calls in one second", busiest);
    cr_expect_eq(back, AGENTS);
    cr_expect_leq(second, 61, "the last one came after %d s", second);
}
