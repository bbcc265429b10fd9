#include "lib/uuid.h"

#include <criterion/criterion.h>
#include <string.h>

Test(uuid, is_version_4_in_lower_case_and_never_twice)
{
    char seen[64][TAILSLATE_UUID_BYTES];
    for (size_t i = 0; i < 64; i++) {
        uuid_make_v4(seen[i]);
        cr_expect(tailslate_token_uuid_is_v4(seen[i]), "%s", seen[i]);
        cr_expect_null(strpbrk(seen[i], "ABCDEF"), "%s", seen[i]);
        for (size_t earlier = 0; earlier < i; earlier++)
            cr_expect_str_neq(seen[earlier], seen[i]);
    }
}

/* 16 draws that leave one byte of 600 zero each time: a chance of 2^-120 a byte. */
Test(uuid, random_bytes_fills_all_of_the_buffer_and_no_more)
{
    unsigned char buffer[602], touched[600] = {0};
    for (int draw = 0; draw < 16; draw++) {
        memset(buffer, 0, sizeof buffer);
        random_bytes(buffer + 1, 600);
        cr_assert(buffer[0] == 0 && buffer[601] == 0);
        for (size_t i = 0; i < 600; i++)
            touched[i] |= buffer[i + 1];
    }
    for (size_t i = 0; i < 600; i++)
        cr_assert_neq(touched[i], 0, "byte %zu", i);
}

Test(uuid, random_numbers_use_all_64_bits)
{
    uint64_t ones = 0, zeros = 0;
    for (int i = 0; i < 128; i++) {
        uint64_t value = random_u64();
        ones |= value;
        zeros |= ~value;
    }
    cr_assert_eq(ones, UINT64_MAX);
    cr_assert_eq(zeros, UINT64_MAX);
}
