/* Files with a secret: who may read them, and what they may hold. */
#include "base/config.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

Test(config_secret, a_secret_is_the_first_line)
{
    static const char *const files[] = {"Key-1 ", "Key-1 \n", "Key-1 \r\n", "Key-1 \nmore\n"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        SCRATCH(scratch);
        struct error err = {0};
        char secret[CONFIG_SECRET_BYTES];
        scratch_put(&scratch, "key", files[i], strlen(files[i]), 0400);
        TEXT(path) = must_printf("%s/key", scratch.path);
        cr_assert_eq(config_read_secret(path, secret, &err), 0, "%s", err.message);
        cr_expect_str_eq(secret, "Key-1 ");
    }
}

static const struct {
    const char *content;
    mode_t mode;
    int code;
} bad_secrets[] = {
    {"GEHEIM", 0640, EACCES},          {"GEHEIM", 0604, EACCES},     {"GEHEIM", 0620, EACCES},
    {"GEHEIM", 0601, EACCES},          {"GEHEIM", 0444, EACCES},     {"", 0600, EINVAL},
    {"\nGEHEIM", 0600, EINVAL},        {"\r\nGEHEIM", 0600, EINVAL}, {"GEHEIM\tx", 0600, EINVAL},
    {"GEHEIM\033[0m\n", 0600, EINVAL},
};

Test(config_secret, a_bad_secret_is_refused_and_in_no_message)
{
    for (size_t i = 0; i < sizeof bad_secrets / sizeof bad_secrets[0]; i++) {
        SCRATCH(scratch);
        struct error err = {0};
        char secret[CONFIG_SECRET_BYTES] = "untouched";
        scratch_put(&scratch, "key", bad_secrets[i].content, strlen(bad_secrets[i].content),
                    bad_secrets[i].mode);
        TEXT(path) = must_printf("%s/key", scratch.path);
        cr_expect_eq(config_read_secret(path, secret, &err), -1, "row %zu", i);
        cr_expect_eq(err.code, bad_secrets[i].code, "row %zu: %s", i, err.message);
        cr_expect(strstr(err.message, path), "%s", err.message);
        cr_expect_null(strstr(err.message, "GEHEIM"), "%s", err.message);
        cr_expect_str_eq(secret, "untouched");
    }
}

/* As another user, in a child: the owner of what a test writes is the test's user. */
static int read_as(const char *path, uid_t user, gid_t group, gid_t supplementary)
{
    fflush(NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct error err;
        char secret[CONFIG_SECRET_BYTES];
        if (setgroups(1, &supplementary) != 0 || setgid(group) != 0 || setuid(user) != 0)
            _exit(99);
        _exit(config_read_secret(path, secret, &err) == 0 ? 0 : err.code);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(config_secret, a_secret_of_root_may_be_read_by_our_group)
{
    enum { US = 4101, GROUP = 4102, ELSE = 4103 };
    static const struct {
        mode_t mode;
        uid_t owner;
        gid_t group;
        int code;
    } rows[] = {
        {0440, 0, GROUP, 0},      {0440, 0, ELSE, 0},       {0640, 0, GROUP, 0},
        {0400, US, GROUP, 0},     {0440, 0, US, EACCES},    {0440, US, GROUP, EACCES},
        {0444, 0, GROUP, EACCES}, {0460, 0, GROUP, EACCES}, {0440, ELSE, GROUP, EACCES},
        {0450, 0, GROUP, EACCES},
    };
    SCRATCH(scratch);
    cr_assert_eq(fchmod(scratch.fd, 0755), 0);
    TEXT(path) = must_printf("%s/key", scratch.path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        scratch_put(&scratch, "key", "GEHEIM", 6, 0600);
        cr_assert_eq(chown(path, rows[i].owner, rows[i].group), 0, "this test needs root");
        cr_assert_eq(chmod(path, rows[i].mode), 0);
        cr_expect_eq(read_as(path, US, GROUP, ELSE), rows[i].code, "row %zu", i);
    }
}

Test(config_secret, root_reads_a_read_only_secret_of_its_group)
{
    SCRATCH(scratch);
    TEXT(path) = must_printf("%s/key", scratch.path);
    scratch_put(&scratch, "key", "GEHEIM", 6, 0440);
    cr_expect_eq(read_as(path, 0, getegid(), getegid()), 0);
    cr_assert_eq(chmod(path, 0640), 0);
    cr_expect_eq(read_as(path, 0, getegid(), getegid()), EACCES);
}

Test(config_secret, a_secret_s_length_is_bounded)
{
    SCRATCH(scratch);
    struct error err = {0};
    char longest[CONFIG_SECRET_BYTES + 1], secret[CONFIG_SECRET_BYTES];
    memset(longest, 'x', sizeof longest);
    TEXT(path) = must_printf("%s/key", scratch.path);
    scratch_put(&scratch, "key", longest, CONFIG_SECRET_BYTES - 1, 0600);
    cr_expect_eq(config_read_secret(path, secret, &err), 0, "%s", err.message);
    cr_expect_eq(strlen(secret), CONFIG_SECRET_BYTES - 1);
    scratch_put(&scratch, "key", longest, CONFIG_SECRET_BYTES, 0600);
    cr_expect_eq(config_read_secret(path, secret, &err), -1);
    cr_expect_eq(err.code, EFBIG);
    scratch_put(&scratch, "key", "a\0b\n", 4, 0600);
    cr_expect_eq(config_read_secret(path, secret, &err), -1);
    cr_expect_eq(err.code, EINVAL, "a NUL would cut it");
}

Test(config_secret, a_name_without_a_slash_is_a_credential_first)
{
    SCRATCH(here);
    SCRATCH(credentials);
    struct error err = {0};
    char secret[CONFIG_SECRET_BYTES];
    cr_assert_eq(fchdir(here.fd), 0);
    scratch_put(&here, "agent.key", "from here", 9, 0600);
    cr_assert_eq(config_read_secret("agent.key", secret, &err), 0, "%s", err.message);
    cr_expect_str_eq(secret, "from here");
    setenv("CREDENTIALS_DIRECTORY", credentials.path, 1);
    cr_assert_eq(config_read_secret("agent.key", secret, &err), 0, "not there: as a path");
    cr_expect_str_eq(secret, "from here");
    scratch_put(&credentials, "agent.key", "from systemd", 12, 0400);
    cr_assert_eq(config_read_secret("agent.key", secret, &err), 0, "%s", err.message);
    cr_expect_str_eq(secret, "from systemd");
    cr_assert_eq(config_read_secret("./agent.key", secret, &err), 0, "%s", err.message);
    cr_expect_str_eq(secret, "from here");
}

Test(config_secret, a_credential_given_by_an_acl_is_accepted_and_a_public_one_is_not)
{
    SCRATCH(credentials);
    struct error err = {0};
    char secret[CONFIG_SECRET_BYTES];
    setenv("CREDENTIALS_DIRECTORY", credentials.path, 1);
    scratch_put(&credentials, "agent.key", "key", 3, 0440);
    cr_expect_eq(config_read_secret("agent.key", secret, &err), 0, "%s", err.message);
    scratch_put(&credentials, "agent.key", "key", 3, 0444);
    cr_expect_eq(config_read_secret("agent.key", secret, &err), -1);
}

Test(config_secret, a_secret_that_is_no_file_is_refused)
{
    SCRATCH(scratch);
    struct error err = {0};
    char secret[CONFIG_SECRET_BYTES];
    TEXT(fifo) = must_printf("%s/fifo", scratch.path);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_expect_eq(config_read_secret(fifo, secret, &err), -1);
    cr_expect_eq(config_read_secret(scratch.path, secret, &err), -1);
    cr_expect_eq(config_read_secret("", secret, &err), -1);
    cr_expect_str_eq(err.message, "no file is configured for the secret");
}
