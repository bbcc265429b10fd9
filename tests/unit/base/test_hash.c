#include "lib/hash.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <errno.h>

/* FIPS 180-2, appendix B, and the empty message. */
static const struct {
    const char *text, *hex;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

Test(hash, is_sha_256)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char hex[HASH_HEX_BYTES];
        hash_bytes(vectors[i].text, strlen(vectors[i].text), hex);
        cr_expect_str_eq(hex, vectors[i].hex);
    }
}

Test(hash, pieces_give_what_the_whole_gives)
{
    char whole[HASH_HEX_BYTES], pieces[HASH_HEX_BYTES];
    hash_bytes("a\0b\0c", 5, whole);
    struct hash *hash = hash_new();
    for (size_t i = 0; i < 5; i++)
        hash_update(hash, &"a\0b\0c"[i], 1);
    hash_hex(hash, pieces);
    hash_free(hash);
    cr_assert_str_eq(pieces, whole);
}

/* RFC 4231, test cases 1, 2 and 6; the last key is longer than a block. */
Test(hash, hmac_is_that_of_rfc_4231)
{
    static const char first[20] = {[0 ... 19] = 0x0b};
    static const char long_key[131] = {[0 ... 130] = (char)0xaa};
    static const struct {
        const char *key;
        size_t key_size;
        const char *text, *hex;
    } cases[] = {
        {first, sizeof first, "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", 4, "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {long_key, sizeof long_key, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char hex[HASH_HEX_BYTES];
        hash_hmac(cases[i].key, cases[i].key_size, cases[i].text, strlen(cases[i].text), hex);
        cr_expect_str_eq(hex, cases[i].hex);
    }
}

Test(hash, free_takes_null)
{
    hash_free(NULL);
}

Test(hash, a_file_is_read_from_its_start_and_its_offset_stays)
{
    SCRATCH(scratch);
    char million[1000000], hex[HASH_HEX_BYTES];
    int64_t size = -1;
    struct error err;
    memset(million, 'a', sizeof million);
    scratch_put(&scratch, "film", million, sizeof million, 0600);
    FD(fd) = openat(scratch.fd, "film", O_RDONLY | O_CLOEXEC);
    lseek(fd, 77, SEEK_SET);

    cr_assert_eq(hash_file(fd, hex, &size, &err), 0);
    cr_expect_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    cr_expect_eq(size, 1000000);
    cr_expect_eq(lseek(fd, 0, SEEK_CUR), 77);
    cr_expect_eq(hash_file(fd, hex, NULL, &err), 0, "nobody has to want the size");
}

Test(hash, what_cannot_be_read_is_an_error)
{
    SCRATCH(scratch);
    char hex[HASH_HEX_BYTES];
    int64_t size;
    struct error err = {0};
    cr_assert_eq(hash_file(scratch.fd, hex, &size, &err), -1);
    cr_expect_eq(err.code, EISDIR);
}

Test(hash, equal_is_equal_in_every_byte_and_in_length)
{
    cr_expect(hash_equal("", ""));
    cr_expect(hash_equal("secret", "secret"));
    cr_expect_not(hash_equal("secret", "Secret"));
    cr_expect_not(hash_equal("secret", "secreT"));
    cr_expect_not(hash_equal("secret", "secre"));
    cr_expect_not(hash_equal("secre", "secret"));
    cr_expect_not(hash_equal("", "s"));
    cr_expect_not(hash_equal("s", ""));
    cr_expect_not(hash_equal("ab", "a\0b"));
}
