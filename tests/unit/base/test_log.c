#include "base/log.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

/* Each test is a process of its own: stderr and the log's settings end with it. */
static int capture(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    return fd;
}

enum { CAPTURED_BYTES = 16 * LOG_LINE_BYTES };

/* What was written, without the time, which is checked for its form. Static: one at a time. */
static const char *captured(int fd, const char *before_time)
{
    static char text[CAPTURED_BYTES];
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    cr_assert_geq(size, 0);
    text[size] = '\0';
    if (size == 0)
        return text;
    const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    const char *at = text + strlen(before_time);
    cr_assert_eq(strncmp(text, before_time, strlen(before_time)), 0, "%s", text);
    for (size_t i = 0; form[i]; i++)
        cr_assert(form[i] == 'd' ? isdigit((unsigned char)at[i]) : at[i] == form[i], "%s", text);
    return at + strlen(form);
}

static const char *logged_text(int fd)
{
    return captured(fd, "time=");
}

static const char *logged_json(int fd)
{
    return captured(fd, "{\"time\":\"");
}

Test(log, an_event_is_one_line_of_logfmt)
{
    int fd = capture();
    log_info("job.sealed", LOG_INT("job", 7), LOG_TEXT("token", "7-abc"));
    cr_assert_str_eq(logged_text(fd), " level=info event=job.sealed job=7 token=7-abc\n");
}

Test(log, an_event_is_one_object_of_json)
{
    int fd = capture();
    cr_assert(log_configure("info", "json"));
    log_error("job.final", LOG_INT("job", INT64_MIN), LOG_TEXT("outcome", "lost"));
    cr_assert_str_eq(logged_json(fd), "\",\"level\":\"error\",\"event\":\"job.final\","
                                      "\"job\":-9223372036854775808,\"outcome\":\"lost\"}\n");
}

Test(log, no_fields_are_fine)
{
    int fd = capture();
    log_info("agent.ready");
    cr_assert_str_eq(logged_text(fd), " level=info event=agent.ready\n");
}

/* No input may forge a line or a field, or talk to a terminal. */
static const struct {
    const char *value, *text, *json;
} escapes[] = {
    {"plain", "plain", "\"plain\""},
    {"", "\"\"", "\"\""},
    {"two words", "\"two words\"", "\"two words\""},
    {"a=b", "\"a=b\"", "\"a=b\""},
    {"say \"hi\"", "\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\""},
    {"back\\slash", "\"back\\\\slash\"", "\"back\\\\slash\""},
    {"a\nlevel=error", "\"a\\x0alevel=error\"", "\"a\\u000alevel=error\""},
    {"\r\t\x01\x7f", "\"\\x0d\\x09\\x01\\x7f\"", "\"\\u000d\\u0009\\u0001\\u007f\""},
    {"\x1b[2J", "\"\\x1b[2J\"", "\"\\u001b[2J\""},
    {"\xc3\xbc\xe2\x82\xac\xf0\x9f\x8e\xac", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x8e\xac",
     "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x8e\xac\""},
    {"\xff", "\"\\xff\"", "\"\\u00ff\""},
    {"\xc3", "\"\\xc3\"", "\"\\u00c3\""},                                 /* cut */
    {"\xc3(", "\"\\xc3(\"", "\"\\u00c3(\""},                              /* cut by another */
    {"\xc0\xaf", "\"\\xc0\\xaf\"", "\"\\u00c0\\u00af\""},                 /* overlong */
    {"\xe0\x80\x8a", "\"\\xe0\\x80\\x8a\"", "\"\\u00e0\\u0080\\u008a\""}, /* overlong newline */
    {"\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\"\\u00ed\\u00a0\\u0080\""}, /* surrogate */
    {"\xc2\x9b"
     "2J",
     "\"\\xc2\\x9b2J\"", "\"\\u00c2\\u009b2J\""}, /* a C1 control */
};

Test(log, values_cannot_forge_anything)
{
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        int fd = capture();
        log_configure("info", "text");
        log_info("e", LOG_TEXT("v", escapes[i].value));
        TEXT(text) = must_printf(" level=info event=e v=%s\n", escapes[i].text);
        cr_expect_str_eq(logged_text(fd), text);
        close(fd);

        fd = capture();
        log_configure("info", "json");
        log_info("e", LOG_TEXT("v", escapes[i].value));
        TEXT(json) = must_printf("\",\"level\":\"info\",\"event\":\"e\",\"v\":%s}\n",
                                 escapes[i].json);
        cr_expect_str_eq(logged_json(fd), json);
        close(fd);
    }
}

Test(log, lines_below_the_level_are_not_written)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    for (int least = 0; least < 4; least++) {
        int fd = capture(), lines = 0;
        cr_assert(log_configure(levels[least], "text"));
        for (enum log_level level = LOG_DEBUG; level <= LOG_ERROR; level++)
            log_at(level, "e", LOG_INT("n", 1));
        for (const char *at = logged_text(fd); (at = strchr(at, '\n')); at++)
            lines++;
        cr_expect_eq(lines, 4 - least, "%s", levels[least]);
        close(fd);
    }
}

Test(log, a_word_that_is_no_level_or_format_changes_nothing)
{
    int fd = capture();
    cr_expect_not(log_configure("loud", "json"));
    cr_expect_not(log_configure("error", "xml"));
    cr_expect_not(log_configure("", ""));
    log_info("e");
    cr_assert_str_eq(logged_text(fd), " level=info event=e\n");
}

Test(log, fields_for_always_come_first_in_every_line)
{
    static const struct log_field always[] = {
        {"job", NULL, 7}, {"token", "7-abc", 0}, {NULL, NULL, 0}};
    int fd = capture();
    log_always(always);
    log_info("e", LOG_INT("n", 1));
    cr_assert_str_eq(logged_text(fd), " level=info event=e job=7 token=7-abc n=1\n");
}

/* Where the cut falls is tried for every length around it. */
Test(log, a_line_that_is_too_long_is_cut_and_still_a_line)
{
    static const char *const formats[] = {"text", "json"};
    static const char *const units[] = {"x", "\"", "\x01", "\xc3\xbc", " "};
    for (int i = 0; i < 2 * 5 * 24; i++) {
        char value[2 * LOG_LINE_BYTES];
        const char *unit = units[i / 2 % 5];
        size_t size = strlen(unit), length = (size_t)(i / 10);
        memset(value, 'a', length);
        for (; length + size < sizeof value; length += size)
            memcpy(value + length, unit, size);
        value[length] = '\0';

        int fd = capture();
        log_configure("info", formats[i % 2]);
        log_info("e", LOG_TEXT("v", value), LOG_INT("n", 1));
        const char *line = i % 2 ? logged_json(fd) : logged_text(fd);
        const char *end = i % 2 ? "\",\"cut\":true}\n" : " cut=true\n";
        size_t line_size = strlen(line);
        cr_assert_leq((size_t)lseek(fd, 0, SEEK_END), LOG_LINE_BYTES);
        cr_assert_geq((size_t)lseek(fd, 0, SEEK_END), LOG_LINE_BYTES - 64);
        cr_assert_str_eq(line + line_size - strlen(end), end);
        cr_assert_null(strstr(line, "n=1"), "nothing comes behind a cut");
        cr_assert_eq(strchr(line, '\n'), line + line_size - 1);
        close(fd);
    }
}

/* A name without its value would be a field that lies. */
Test(log, many_fields_end_at_the_last_that_fits)
{
    struct log_field fields[1000] = {{0}};
    for (size_t i = 1; i + 1 < 1000; i++)
        fields[i] = LOG_INT("number", INT64_MAX);
    for (size_t shift = 1; shift < 40; shift++) {
        char value[40] = "";
        memset(value, 'a', shift);
        fields[0] = LOG_TEXT("v", value);
        int fd = capture();
        log_write(LOG_INFO, "e", fields);
        const char *line = logged_text(fd);
        const char *end = " number=9223372036854775807 cut=true\n";
        cr_assert_leq(strlen(line), LOG_LINE_BYTES);
        cr_assert_str_eq(line + strlen(line) - strlen(end), end);
        close(fd);
    }
}

Test(log, errno_is_as_it_was)
{
    capture();
    errno = ENOSPC;
    log_info("e");
    cr_expect_eq(errno, ENOSPC);
    close(STDERR_FILENO);
    errno = ENOSPC;
    log_info("e");
    cr_expect_eq(errno, ENOSPC);
}

/* A supervisor that closes its end costs the lines, not the transcode. */
Test(log, a_reader_that_is_gone_kills_nobody)
{
    int ends[2];
    sigset_t set;
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    dup2(ends[1], STDERR_FILENO);
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    sigaction(SIGPIPE, &fatal, NULL);
    log_info("e");
    sigprocmask(SIG_BLOCK, NULL, &set);
    cr_expect_eq(sigismember(&set, SIGPIPE), 0, "the mask is as it was");
}

/* A signal that somebody else waits for is not swallowed with ours. */
Test(log, a_pending_sigpipe_of_somebody_else_stays)
{
    int ends[2];
    sigset_t set;
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    dup2(ends[1], STDERR_FILENO);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGPIPE);
    log_info("e");
    sigpending(&set);
    cr_expect_eq(sigismember(&set, SIGPIPE), 1);
}
