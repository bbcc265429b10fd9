#include "verifier/http/overview.h"

#include <criterion/criterion.h>

Test(overview, lets_only_so_many_requests_wait_at_once)
{
    struct overview *overview = overview_new(NULL);
    for (int i = 0; i < OVERVIEW_WAITS_MAX; i++)
        cr_assert(overview_begin_wait(overview));
    cr_assert_not(overview_begin_wait(overview));
    overview_end_wait(overview);
    cr_assert(overview_begin_wait(overview));
    cr_assert_not(overview_begin_wait(overview));
    overview_free(overview);
}
