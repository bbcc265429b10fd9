#include "base/url.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

Test(url, is_http_with_a_host_and_without_a_user)
{
    static const struct {
        const char *url;
        bool is_http, has_user;
        const char *origin;
    } cases[] = {
        {"http://host", true, false, "http://host"},
        {"https://host:8443/hook?token=a@b", true, false, "https://host:8443"},
        {"https://host/a://b", true, false, "https://host"},
        {"https://user@host/", true, true, "https://user@host"},
        {"https://user:secret@host?x", true, true, "https://user:secret@host"},
        {"http://", false, false, "http://"},
        {"https:///hook", false, false, "https://"},
        {"ftp://host", false, false, "ftp://host"},
        {"host/hook", false, false, ""},
        {"", false, false, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *url = cases[i].url;
        cr_expect_eq(url_is_http(url), cases[i].is_http, "%s", url);
        cr_expect_eq(url_has_user(url), cases[i].has_user, "%s", url);
        cr_expect_eq(url_origin_bytes(url), (int)strlen(cases[i].origin), "%s", url);
    }
}
