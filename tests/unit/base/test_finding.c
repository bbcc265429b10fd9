#include "base/finding.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(finding, the_worst_decides_about_the_start_and_the_exit_status)
{
    static const struct {
        enum finding_level level;
        int status;
    } rows[] = {{FINDING_GOOD, 0}, {FINDING_NOTE, 0}, {FINDING_PASSING, 75}, {FINDING_BAD, 78}};
    struct findings findings = {.out = NULL};
    struct error err;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        finding_add(&findings, rows[i].level, "a.key", "do this", "row %zu", i);
        cr_expect_eq(findings_exit_status(&findings), rows[i].status);
        cr_expect_eq(findings_refuse(&findings, &err) != 0, rows[i].status != 0);
    }
    cr_expect_str_eq(err.message, "a.key: row 3; do this");
    cr_expect_eq(error_exit_status(&err), 78);
    finding_add(&findings, FINDING_GOOD, "b.key", NULL, "fine");
    cr_expect_eq(findings_exit_status(&findings), 78);
}

Test(finding, each_is_one_line)
{
    TEXT(text) = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct findings findings = {.out = out};
    finding_add(&findings, FINDING_GOOD, "a.key", NULL, "/a");
    finding_add(&findings, FINDING_BAD, "b.key", "mend it", "is %s.", "broken");
    findings_print_refusal(&findings, "program", out);
    fclose(out);
    cr_expect_str_eq(text, "ok    a.key                   /a\n"
                           "FAIL  b.key                   is broken; mend it\n"
                           "program: b.key: is broken; mend it\n");
}

Test(finding, what_does_not_exist_may_come_later)
{
    static const struct {
        int code, status;
    } rows[] = {{ENOENT, 75}, {EROFS, 75}, {EADDRINUSE, 75}, {EACCES, 78}, {ENOTDIR, 78}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct findings findings = {.out = NULL};
        struct error err;
        errno = rows[i].code;
        error_errno(&err, "x");
        finding_add_error(&findings, "a.key", NULL, &err);
        cr_expect_eq(findings_exit_status(&findings), rows[i].status, "row %zu", i);
    }
}

Test(finding, what_is_too_much_still_counts)
{
    struct findings findings = {.out = NULL};
    struct error err;
    finding_add(&findings, FINDING_PASSING, "a.key", NULL, "wait");
    for (int i = 0; i < 2 * FINDINGS_MAX; i++)
        finding_add(&findings, FINDING_GOOD, "b.key", NULL, "fine");
    cr_expect_eq(findings_exit_status(&findings), 75);
    cr_expect_eq(findings_refuse(&findings, &err), -1);
    cr_expect_str_eq(err.message, "a.key: wait");
}
