#include "agent/base/tool.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

char *tool_locate(const char *program, struct error *err)
{
    if (strchr(program, '/')) {
        if (is_program(program))
            return must_strdup(program);
        error_errno(err, "%s", program);
        return NULL;
    }
    const char *path = getenv("PATH");
    TEXT(left) = must_strdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
    char *at = left, *directory;
    while ((directory = strsep(&at, ":"))) {
        TEXT(candidate) = must_printf("%s/%s", directory[0] ? directory : ".", program);
        if (is_program(candidate))
            return steal_text(&candidate);
    }
    error_set(err, ERROR_PERMANENT, ENOENT, "%s: not found in PATH (%s)", program,
              path ? path : "unset");
    return NULL;
}

int tool_find(const char *program, struct error *err)
{
    TEXT(path) = tool_locate(program, err);
    return path ? 0 : -1;
}

static int spawn(const char *program, const char *option, int output, pid_t *pid)
{
    TEXT(name) = must_strdup(program);
    TEXT(argument) = must_strdup(option);
    char quiet[] = "-hide_banner";
    char *argv[] = {name, argument, strcmp(option, "-version") == 0 ? NULL : quiet, NULL};
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    int code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (code == 0)
        code = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (code == 0)
        code = posix_spawnp(pid, program, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

int tool_ask_start(const char *program, const char *option, struct tool_question *question,
                   struct error *err)
{
    *question = (struct tool_question){.pidfd = -1, .output = -1};
    FD(output) = memfd_create("tool", MFD_CLOEXEC);
    if (output < 0)
        return error_errno(err, "%s", program);
    errno = spawn(program, option, output, &question->pid);
    if (errno != 0)
        return error_errno(err, "cannot run %s", program);
    question->pidfd = pidfd_open(question->pid, 0);
    if (question->pidfd < 0) {
        error_errno(err, "cannot monitor %s", program);
        kill(question->pid, SIGKILL);
        waitpid(question->pid, NULL, 0);
        return -1;
    }
    question->output = steal_fd(&output);
    return 0;
}

static void forget(struct tool_question *question)
{
    cleanup_fd(&question->pidfd);
    cleanup_fd(&question->output);
    *question = (struct tool_question){.pidfd = -1, .output = -1};
}

int tool_ask_end(struct tool_question *question, char **text, struct error *err)
{
    siginfo_t info = {0};
    int waited = waitid(P_PIDFD, (id_t)question->pidfd, &info, WEXITED);
    TEXT(read) = must_malloc(TOOL_OUTPUT_MAX_BYTES + 1);
    ssize_t size = pread(question->output, read, TOOL_OUTPUT_MAX_BYTES, 0);
    forget(question);
    if (waited != 0 || size < 0)
        return error_errno(err, "cannot read its output");
    if (info.si_code != CLD_EXITED || info.si_status != 0)
        return error_set(err, ERROR_PERMANENT, 0, "failed with %s %d",
                         info.si_code == CLD_EXITED ? "exit status" : "signal", info.si_status);
    read[size] = '\0';
    *text = steal_text(&read);
    return 0;
}

void tool_ask_cancel(struct tool_question *question)
{
    if (question->pidfd < 0)
        return;
    /* Not reaped yet, so its PID and process group cannot be reused. */
    kill(-question->pid, SIGKILL);
    siginfo_t info;
    waitid(P_PIDFD, (id_t)question->pidfd, &info, WEXITED);
    forget(question);
}

int tool_ask(const char *program, const char *option, char **text, struct error *err)
{
    struct tool_question question;
    if (tool_ask_start(program, option, &question, err) != 0)
        return -1;
    struct pollfd ended = {.fd = question.pidfd, .events = POLLIN};
    if (poll(&ended, 1, TOOL_WAIT_MS) != 1) {
        tool_ask_cancel(&question);
        return error_set(err, ERROR_PERMANENT, ETIMEDOUT, "%s %s: still running after %d s",
                         program, option, TOOL_WAIT_MS / 1000);
    }
    return tool_ask_end(&question, text, err) == 0 ? 0 : error_wrap(err, "%s %s", program, option);
}

bool tool_parse_version(const char *text, char version[TOOL_VERSION_BYTES])
{
    static const char word[] = " version ";
    const char *at = strstr(text, word);
    if (!at || memchr(text, '\n', (size_t)(at - text)))
        return false;
    at += sizeof word - 1;
    size_t length = strcspn(at, " \t\r\n");
    if (length == 0 || length >= TOOL_VERSION_BYTES)
        return false;
    memcpy(version, at, length);
    version[length] = '\0';
    return true;
}

/* A line: " V....D libx264              libx264 H.264 / AVC ..." */
bool tool_has_encoder(const char *text, const char *encoder)
{
    size_t length = strlen(encoder);
    for (const char *at = strstr(text, encoder); at; at = strstr(at + 1, encoder)) {
        const char *line = at;
        while (line > text && line[-1] != '\n')
            line--;
        bool is_name = at - line == 8 && line[0] == ' ' && at[-1] == ' ';
        if (is_name && (at[length] == ' ' || at[length] == '\n'))
            return true;
    }
    return false;
}
