#include "schedule.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int weight;
    enum lab_target target;
    int64_t least, most;
} faults[] = {
#define LAB_ROW(name, text, weight, target, least, most) {text, weight, target, least, most},
    LAB_FAULTS(LAB_ROW)
#undef LAB_ROW
};

static const char *const calls[] = {
#define LAB_ROW(name, text) text,
    LAB_CALLS(LAB_ROW)
#undef LAB_ROW
};

static const char *const stores[] = {"sqlite", "postgres", "fleet"};

/* splitmix64: the whole state is one number. */
static uint64_t draw(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

static int64_t between(uint64_t *state, int64_t least, int64_t most)
{
    return least + (int64_t)(draw(state) % (uint64_t)(most - least + 1));
}

static bool is_possible(const struct lab_plan *plan, enum lab_fault fault)
{
    switch (faults[fault].target) {
    case LAB_DATABASE:
        return plan->store != LAB_SQLITE;
    case LAB_REDIS:
        return plan->store == LAB_FLEET;
    case LAB_JOB:
        return plan->jobs > 0;
    case LAB_CALL:
    case LAB_COMPLETION:
    case LAB_NODE:
    case LAB_VERIFIER:
    case LAB_STORE:
        break;
    }
    return true;
}

/* What a seed is about. */
struct bent {
    enum lab_target preferred;
    bool is_steady; /* the verifiers are killed by nobody */
};

enum { PREFERENCE = 4 };

static bool kills_verifier(enum lab_fault fault)
{
    return fault == LAB_KILL_VERIFIER || fault == LAB_CRASH_VERIFIER || fault == LAB_OUTAGE ||
           fault == LAB_LONG_OUTAGE;
}

static int weight_of(const struct lab_plan *plan, const struct bent *bent, enum lab_fault fault)
{
    if (!is_possible(plan, fault) || (bent->is_steady && kills_verifier(fault)))
        return 0;
    return faults[fault].weight * (faults[fault].target == bent->preferred ? PREFERENCE : 1);
}

static enum lab_fault choose(const struct lab_plan *plan, const struct bent *bent, uint64_t *state)
{
    int total = 0;
    enum lab_fault fault = 0;
    for (; fault < LAB_FAULT_COUNT; fault++)
        total += weight_of(plan, bent, fault);
    int64_t left = between(state, 1, total);
    for (fault = 0;; fault++)
        if ((left -= weight_of(plan, bent, fault)) <= 0)
            return fault;
}

static int target_of(const struct lab_plan *plan, enum lab_target target, uint64_t drawn)
{
    uint64_t many = 1;
    if (target <= LAB_NODE)
        many = (uint64_t)plan->nodes;
    else if (target == LAB_VERIFIER)
        many = (uint64_t)plan->verifiers;
    else if (target == LAB_JOB)
        many = (uint64_t)plan->jobs;
    return (int)(drawn % many);
}

static struct lab_event make_event(const struct lab_plan *plan, const struct bent *bent,
                                   uint64_t *state)
{
    struct lab_event event = {.fault = choose(plan, bent, state)};
    event.at_ms = between(state, 0, plan->duration_ms);
    event.target = target_of(plan, faults[event.fault].target, draw(state));
    event.call = draw(state) % 2 ? LAB_CALL_COMPLETE : draw(state) % LAB_CALL_COUNT;
    if (faults[event.fault].target == LAB_COMPLETION)
        event.call = LAB_CALL_COMPLETE;
    event.amount = between(state, faults[event.fault].least, faults[event.fault].most);
    return event;
}

static int by_time(const void *left, const void *right)
{
    const struct lab_event *a = left, *b = right;
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    return a->number - b->number;
}

size_t schedule_make(const struct lab_plan *plan, struct lab_event events[LAB_EVENTS_MAX])
{
    uint64_t state = plan->seed;
    const struct bent bent = {.preferred = (enum lab_target)between(&state, LAB_CALL, LAB_JOB),
                              .is_steady = draw(&state) % 2};
    size_t count = (size_t)(plan->duration_ms / LAB_EVENT_EVERY_MS);
    if (count > LAB_EVENTS_MAX)
        count = LAB_EVENTS_MAX;
    for (size_t i = 0; i < count; i++) {
        events[i] = make_event(plan, &bent, &state);
        events[i].number = (int)i;
    }
    qsort(events, count, sizeof *events, by_time);
    for (size_t i = 0; i < count; i++)
        events[i].number = (int)i + 1;
    return count;
}

static bool names(const char *numbers, int number)
{
    for (const char *at = numbers; *at; at += strcspn(at, ","), at += *at == ',')
        if (strtol(at, NULL, 10) == number)
            return true;
    return false;
}

int schedule_keep(struct lab_event events[], size_t *count, const char *numbers)
{
    size_t kept = 0;
    if (numbers[strspn(numbers, "0123456789,")])
        return -1;
    for (size_t i = 0; i < *count; i++)
        if (names(numbers, events[i].number))
            events[kept++] = events[i];
    *count = kept;
    return 0;
}

void schedule_print(const struct lab_event *event, FILE *out)
{
    static const char *const targets[] = {"node",  "node",     "node",  "verifier",
                                          "store", "database", "redis", "job"};
    enum lab_target target = faults[event->fault].target;
    fprintf(out, "%4d %7lld ms  %-16s %s %d  %s%samount %lld\n", event->number,
            (long long)event->at_ms, faults[event->fault].name, targets[target], event->target + 1,
            target <= LAB_COMPLETION ? calls[event->call] : "",
            target <= LAB_COMPLETION ? "  " : "", (long long)event->amount);
}

const char *lab_fault_name(enum lab_fault fault)
{
    return faults[fault].name;
}

enum lab_target lab_fault_target(enum lab_fault fault)
{
    return faults[fault].target;
}

const char *lab_call_name(enum lab_call call)
{
    return calls[call];
}

const char *lab_store_name(enum lab_store store)
{
    return stores[store];
}

bool lab_store_parse(const char *name, enum lab_store *store)
{
    for (enum lab_store i = 0; i < LAB_STORES; i++) {
        if (strcmp(name, stores[i]) == 0) {
            *store = i;
            return true;
        }
    }
    return false;
}
