#include "base/metrics.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

static struct metric committed = METRIC_COUNTER("tailslate_completions_total",
                                                "outcome=\"committed\"", "Completions.");
static struct metric slots = METRIC_GAUGE("tailslate_slots", NULL, "Slots\nof a \\ node.");
static struct metric replayed = METRIC_COUNTER("tailslate_completions_total",
                                               "outcome=\"replayed\"", "Completions.");

Test(metrics, are_printed_with_one_head_a_name)
{
    metric_register(&committed);
    metric_register(&slots);
    metric_register(&replayed);
    metric_add(&committed, 2);
    metric_add(&committed, 3);
    metric_set(&slots, 9);
    metric_set(&slots, -4);
    TEXT(text) = metrics_print();
    cr_assert_str_eq(text, "# HELP tailslate_completions_total Completions.\n"
                           "# TYPE tailslate_completions_total counter\n"
                           "tailslate_completions_total{outcome=\"committed\"} 5\n"
                           "tailslate_completions_total{outcome=\"replayed\"} 0\n"
                           "# HELP tailslate_slots Slots\\nof a \\\\ node.\n"
                           "# TYPE tailslate_slots gauge\n"
                           "tailslate_slots -4\n");
}

Test(metrics, none_are_an_empty_text)
{
    TEXT(text) = metrics_print();
    cr_assert_str_eq(text, "");
}

Test(metrics, registering_one_twice_is_a_bug, .signal = SIGABRT)
{
    metric_register(&slots);
    metric_register(&slots);
}

enum { THREADS = 4, ADDITIONS = 300000 };

static pthread_barrier_t together;

static void *add_many(void *metric)
{
    pthread_barrier_wait(&together);
    for (int i = 0; i < ADDITIONS; i++)
        metric_add(metric, 1);
    return NULL;
}

Test(metrics, no_addition_is_lost_between_threads)
{
    pthread_t threads[THREADS];
    metric_register(&committed);
    cr_assert_eq(pthread_barrier_init(&together, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, add_many, &committed), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    TEXT(text) = metrics_print();
    cr_assert(strstr(text, "{outcome=\"committed\"} 1200000\n"), "%s", text);
}
