#include "verifier/http/auth.h"

#include <criterion/criterion.h>

Test(auth, refusals_of_unauthenticated_callers_are_logged_up_to_a_number_a_second)
{
    struct auth *auth = auth_new("secret");
    for (int i = 0; i < AUTH_LOG_PER_S; i++)
        cr_assert(auth_may_log(auth, 1000 + i));
    cr_assert_not(auth_may_log(auth, 1999));
    cr_assert(auth_may_log(auth, 2000));
    auth_free(auth);
}
