#include "auth.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(auth, failures_are_limited_by_address_and_window)
{
    struct auth *auth = auth_new(NULL);
    for (int i = 0; i < AUTH_FAILURES_MAX; i++)
        cr_assert_not(auth_count_failure(auth, "192.0.2.1", 1000), "%d", i);
    cr_assert(auth_count_failure(auth, "192.0.2.1", 1000));
    cr_assert_not(auth_count_failure(auth, "192.0.2.2", 1000));
    cr_assert(auth_count_failure(auth, "192.0.2.1", 1000 + AUTH_WINDOW_MS - 1));
    cr_assert_not(auth_count_failure(auth, "192.0.2.1", 1000 + AUTH_WINDOW_MS));
    auth_free(auth);
}

Test(auth, more_addresses_than_places_push_out_the_oldest)
{
    struct auth *auth = auth_new("secret");
    char address[64];
    for (int i = 0; i <= AUTH_FAILURES_MAX; i++)
        auth_count_failure(auth, "192.0.2.1", 1);
    for (int i = 0; i < AUTH_ADDRESSES_MAX; i++) {
        snprintf(address, sizeof address, "2001:db8::%x", (unsigned)i);
        cr_assert_not(auth_count_failure(auth, address, 1000 + i));
    }
    cr_assert_not(auth_count_failure(auth, "192.0.2.1", 5000));
    auth_free(auth);
}
