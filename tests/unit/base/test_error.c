#include "lib/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

Test(error, set_fills_and_returns_minus_one)
{
    struct error err = {0};
    cr_assert_eq(error_set(&err, ERROR_BUG, 7, "job %d", 3), -1);
    cr_expect_eq(err.class, ERROR_BUG);
    cr_expect_eq(err.code, 7);
    cr_expect_str_eq(err.message, "job 3");
}

Test(error, wrap_puts_the_context_in_front_and_keeps_the_rest)
{
    struct error err = {ERROR_TEMPORARY, ENOSPC, "no space"};
    cr_assert_eq(error_wrap(&err, "record %d", 7), -1);
    cr_expect_str_eq(err.message, "record 7: no space");
    cr_expect_eq(err.class, ERROR_TEMPORARY);
    cr_expect_eq(err.code, ENOSPC);
}

Test(error, a_message_may_be_made_from_itself)
{
    struct error err = {ERROR_PERMANENT, 0, "inner"};
    error_set(&err, ERROR_PERMANENT, 0, "outer: %s", err.message);
    cr_assert_str_eq(err.message, "outer: inner");
}

Test(error, a_message_is_one_line_and_cut_at_its_limit)
{
    struct error err;
    char text[2 * ERROR_MESSAGE_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, ERROR_BUG, 0, "%s", text);
    cr_expect_eq(strlen(err.message), ERROR_MESSAGE_BYTES - 1);
    error_wrap(&err, "%s", text);
    cr_expect_eq(strlen(err.message), ERROR_MESSAGE_BYTES - 1);
    error_set(&err, ERROR_BUG, 0, "a\nb\r\tc\033d");
    cr_expect_str_eq(err.message, "a b  c d");
}

static const struct {
    int code;
    enum error_class class;
} classes[] = {
    {ENOSPC, ERROR_TEMPORARY}, {EDQUOT, ERROR_TEMPORARY}, {EMFILE, ERROR_TEMPORARY},
    {ENFILE, ERROR_TEMPORARY}, {ENOMEM, ERROR_TEMPORARY}, {EINTR, ERROR_TEMPORARY},
    {EAGAIN, ERROR_TEMPORARY}, {EBUSY, ERROR_TEMPORARY},  {EIO, ERROR_TEMPORARY},
    {ENOENT, ERROR_PERMANENT}, {EACCES, ERROR_PERMANENT}, {EROFS, ERROR_TEMPORARY},
};

Test(error, errno_decides_whether_waiting_may_help)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        struct error err;
        errno = classes[i].code;
        cr_assert_eq(error_errno(&err, "claim.json"), -1);
        cr_expect_eq(err.class, classes[i].class, "%s", err.message);
        cr_expect_eq(err.code, classes[i].code);
    }
}

Test(error, errno_is_said_in_words)
{
    struct error err;
    errno = ENOENT;
    error_errno(&err, "cannot open %s", "x");
    cr_assert_str_eq(err.message, "cannot open x: No such file or directory");
}

Test(error, exit_statuses_are_those_of_sysexits)
{
    cr_expect_eq(error_exit_status(&(struct error){.class = ERROR_TEMPORARY}), 75);
    cr_expect_eq(error_exit_status(&(struct error){.class = ERROR_PERMANENT}), 78);
    cr_expect_eq(error_exit_status(&(struct error){.class = ERROR_BUG}), 70);
}

Test(error, a_broken_invariant_aborts, .signal = SIGABRT)
{
    must(1 + 1 == 3);
}

Test(error, no_bytes_are_still_memory)
{
    char *none = must_malloc(0), *zeros = must_calloc(3, 4), *text = must_printf("%d", 7);
    zeros = must_realloc(zeros, 0);
    cr_assert(none && zeros);
    cr_assert_str_eq(text, "7");
    free(none);
    free(zeros);
    free(text);
}
