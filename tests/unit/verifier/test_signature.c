#include "verifier/webhook/signature.h"

#include <criterion/criterion.h>

/* printf '1767457680.{"event":"ping"}' | openssl dgst -sha256 -hmac secret */
Test(signature, covers_the_time_and_the_body)
{
    char signature[SIGNATURE_BYTES], other[SIGNATURE_BYTES];
    signature_make("secret", 1767457680, "{\"event\":\"ping\"}", signature);
    cr_expect_str_eq(signature,
                     "sha256=d2c4e401ab42dabd2b8d80a8f9a900e4be34192e7f02c1d9458863ebad7372a4");
    signature_make("secret", 1767457681, "{\"event\":\"ping\"}", other);
    cr_expect_str_neq(other, signature);
    signature_make("secret", 1767457680, "{\"event\":\"pong\"}", other);
    cr_expect_str_neq(other, signature);
}
