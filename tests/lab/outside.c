/* The test rig's assertions outside of a test: they say what is wrong and end the program. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_LABORATORY = 70 };

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    if (!stats->passed)
        fprintf(stderr, "laboratory: %s:%u: %s\n", stats->file, stats->line,
                stats->message ? stats->message : "");
}

void criterion_abort_test(void)
{
    exit(EXIT_LABORATORY);
}
