#include "agent/spool/record_process.h"

#include "agent/spool/record.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

enum {
    PROC_STAT_BYTES = 1024,
    STAT_FIELDS_TO_START = 19, /* spaces between the state (field 3) and field 22 */
    IDENTITY_NAME_BYTES = 32,
};
#define LOCK_NAME "lock"

static int read_proc(const char *path, char *text, size_t capacity, struct error *err)
{
    FD(fd) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, capacity - 1);
    if (size < 0)
        return error_errno(err, "%s", path);
    text[size] = '\0';
    return 0;
}

/* The name in parentheses may itself contain spaces and parentheses: count from the last one. */
static bool parse_stat(const char *stat, char *state, uint64_t *start_ticks)
{
    const char *at = strrchr(stat, ')');
    if (!at || at[1] != ' ')
        return false;
    at += 2;
    *state = *at;
    for (int blanks = 0; blanks < STAT_FIELDS_TO_START; blanks++) {
        at = strchr(at, ' ');
        if (!at)
            return false;
        at++;
    }
    return sscanf(at, "%" SCNu64, start_ticks) == 1;
}

static int read_identity_of(pid_t pid, struct process_identity *identity, char *state,
                            struct error *err)
{
    char path[64], stat[PROC_STAT_BYTES], boot_id[sizeof identity->boot_id];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_proc(path, stat, sizeof stat, err) != 0 ||
        read_proc("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id, err) != 0)
        return -1;
    boot_id[strcspn(boot_id, "\n")] = '\0';
    memcpy(identity->boot_id, boot_id, sizeof boot_id);
    identity->pid = pid;
    if (!parse_stat(stat, state, &identity->start_ticks))
        return error_set(err, ERROR_BUG, 0, "cannot parse %s", path);
    return 0;
}

static void identity_name(const char *name, char file[IDENTITY_NAME_BYTES])
{
    int length = snprintf(file, IDENTITY_NAME_BYTES, "%s.process", name);
    must(length > 0 && length < IDENTITY_NAME_BYTES);
}

int record_write_identity(int dir, const char *name, pid_t pid, struct error *err)
{
    struct process_identity identity;
    char state, file[IDENTITY_NAME_BYTES];
    if (read_identity_of(pid, &identity, &state, err) != 0)
        return -1;
    identity_name(name, file);
    JSON(root) = json_new_object();
    json_set_text(root, "boot_id", identity.boot_id);
    json_set_int(root, "pid", identity.pid);
    json_set_int(root, "start_ticks", (int64_t)identity.start_ticks);
    TEXT(text) = json_print(root);
    return durable_write(dir, file, text, strlen(text), err);
}

int record_read_identity(int dir, const char *name, struct process_identity *identity,
                         struct error *err)
{
    char file[IDENTITY_NAME_BYTES];
    TEXT(text) = NULL;
    size_t size;
    identity_name(name, file);
    if (durable_read(dir, file, RECORD_FILE_MAX_BYTES, &text, &size, err) != 0)
        return -1;
    JSON(root) = json_parse(text, size, err);
    const char *boot_id;
    int64_t pid, start_ticks;
    if (!root ||
        json_get_text(root, "boot_id", sizeof identity->boot_id - 1, &boot_id) != JSON_FOUND ||
        json_get_int(root, "pid", 1, INT32_MAX, &pid) != JSON_FOUND ||
        json_get_int(root, "start_ticks", 0, INT64_MAX, &start_ticks) != JSON_FOUND)
        return error_set(err, ERROR_PERMANENT, EBADMSG, "%s: not a process identity", file);
    *identity = (struct process_identity){.pid = (pid_t)pid, .start_ticks = (uint64_t)start_ticks};
    memcpy(identity->boot_id, boot_id, strlen(boot_id) + 1);
    return 0;
}

int process_identity_open(const struct process_identity *identity)
{
    /* Open the descriptor first, then check: it refers to that process or to none. */
    FD(pidfd) = pidfd_open(identity->pid, 0);
    if (pidfd < 0)
        return -1;
    struct process_identity now;
    struct error err;
    char state;
    if (read_identity_of(identity->pid, &now, &state, &err) != 0 || state == 'Z' || state == 'X' ||
        now.start_ticks != identity->start_ticks || strcmp(now.boot_id, identity->boot_id) != 0)
        return -1;
    return steal_fd(&pidfd);
}

bool process_identity_moves(const struct process_identity *identity)
{
    struct process_identity now;
    struct error ignored;
    char state = 'X';
    FD(pidfd) = process_identity_open(identity);
    return pidfd >= 0 && read_identity_of(identity->pid, &now, &state, &ignored) == 0 &&
           state != 'T';
}

void process_identity_kill_group(const struct process_identity *identity)
{
    FD(pidfd) = process_identity_open(identity);
    if (pidfd < 0 || pidfd_send_signal(pidfd, SIGKILL, NULL, 0) != 0)
        return;
    kill(-identity->pid, SIGKILL);
}

static int open_lock(int dir)
{
    return openat(dir, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int record_lock(int dir, struct error *err)
{
    FD(fd) = open_lock(dir);
    if (fd < 0)
        return error_errno(err, "cannot open the lock");
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return steal_fd(&fd);
    if (errno == EACCES || errno == EAGAIN)
        return error_set(err, ERROR_TEMPORARY, EWOULDBLOCK, "another process holds the lock");
    return error_errno(err, "cannot lock");
}

bool record_is_locked(int dir)
{
    FD(fd) = openat(dir, LOCK_NAME, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}
