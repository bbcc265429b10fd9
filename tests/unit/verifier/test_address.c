#include "verifier/base/address.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

static const struct {
    const char *left, *right;
    bool is_same;
} pairs[] = {
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"192.0.2.1", "::ffff:192.0.2.1", true},
    {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
    {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
    {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
    {"::1", "::2", true},
    {"unknown", "also unknown", true},
    {"unknown", "192.0.2.1", false},
};

Test(address, ipv4_counts_alone_and_ipv6_by_its_network)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct address left = address_of_text(pairs[i].left);
        struct address right = address_of_text(pairs[i].right);
        cr_expect_eq(address_is_same(&left, &right), pairs[i].is_same, "%s %s", pairs[i].left,
                     pairs[i].right);
    }
}

static const struct {
    const char *text, *printed;
} forms[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
};

Test(address, is_printed_as_it_counts)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char text[ADDRESS_TEXT_BYTES];
        struct address address = address_of_text(forms[i].text);
        address_format(&address, text);
        cr_expect_str_eq(text, forms[i].printed);
    }
}

Test(address, one_host_is_more_than_one_network)
{
    cr_expect(address_is_one_host("192.0.2.1", "192.0.2.1"));
    cr_expect(address_is_one_host("::ffff:192.0.2.1", "192.0.2.1"));
    cr_expect(address_is_one_host("2001:db8::1", "2001:0db8:0::1"));
    cr_expect_not(address_is_one_host("2001:db8::1", "2001:db8::2"));
    cr_expect_not(address_is_one_host("192.0.2.1", ""));
    cr_expect_not(address_is_one_host("", ""));
    cr_expect(address_is_text("::1"));
    cr_expect_not(address_is_text("192.0.2.1, 10.0.0.1"));
    cr_expect_not(address_is_text("localhost"));
}

Test(address, of_a_socket_is_that_of_its_text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xC0000201)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct address left = address_of_socket((struct sockaddr *)&v4);
    struct address right = address_of_text("192.0.2.1");
    cr_expect(address_is_same(&left, &right));
    left = address_of_socket((struct sockaddr *)&v6);
    right = address_of_text("::1");
    cr_expect(address_is_same(&left, &right));
}
