/* A connection to PostgreSQL: the URL, the password, the hosts one after the other, each within its
 * share of the time. */
#include "verifier/db/db_postgres_connect.h"

#include "base/config.h"
#include "verifier/db/db.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { HOSTS_MAX = 8, CONNECT_PARAMETERS_MAX = 16 };

bool postgres_wait(const PGconn *conn, short events, int64_t deadline_ms)
{
    struct pollfd socket = {.fd = PQsocket(conn), .events = events};
    if (socket.fd < 0)
        return true; /* libpq says what is wrong */
    for (int64_t left_ms; (left_ms = deadline_ms - mono_ms()) > 0;) {
        int got = poll(&socket, 1, (int)left_ms);
        if (got > 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
    }
    return false;
}

struct target {
    const char *url, *password; /* password NULL: none from store.password_file */
    char hosts[CONFIG_TEXT_BYTES], ports[CONFIG_TEXT_BYTES];
    const char *host[HOSTS_MAX], *port[HOSTS_MAX]; /* point into hosts and ports */
    size_t host_count;                             /* 0: as libpq reads the URL */
};

static size_t split(char *list, const char *parts[HOSTS_MAX])
{
    size_t count = 0;
    for (char *comma = list; comma && count < HOSTS_MAX; list = comma + 1) {
        parts[count++] = list;
        comma = strchr(list, ',');
        if (!comma)
            break;
        *comma = '\0';
    }
    return count;
}

static const char *option(const PQconninfoOption *options, const char *name)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, name) == 0)
            return options->val && *options->val ? options->val : NULL;
    return NULL;
}

/* libpq would wait on the first of several hosts until the kernel gives up; so each gets a share
 * of the time here. */
static void list_hosts(const PQconninfoOption *options, struct target *target)
{
    const char *host = option(options, "host"), *port = option(options, "port");
    if (!host || option(options, "hostaddr"))
        return;
    snprintf(target->hosts, sizeof target->hosts, "%s", host);
    snprintf(target->ports, sizeof target->ports, "%s", port ? port : "");
    target->host_count = split(target->hosts, target->host);
    size_t ports = split(target->ports, target->port);
    for (size_t i = ports; i < target->host_count; i++)
        target->port[i] = ports == 1 ? target->port[0] : "";
}

/* libpq's complaint quotes what it complains about, which may be a password in a wrong place. */
static int refuse_url(char *complaint, struct error *err)
{
    char text[POSTGRES_REASON_BYTES];
    postgres_one_line(complaint ? complaint : "out of memory", text);
    char *quote = strchr(text, '"');
    if (quote)
        *quote = '\0';
    size_t length = strcspn(text, ":");
    PQfreemem(complaint);
    return error_set(err, ERROR_PERMANENT, EINVAL,
                     "%.*s; expected a URL like postgresql://user@host:5432/name", (int)length,
                     text);
}

static int read_target(const char *url, struct target *target, struct error *err)
{
    char *complaint = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &complaint);
    if (!options)
        return refuse_url(complaint, err);
    bool has_password = option(options, "password") != NULL;
    target->url = url;
    list_hosts(options, target);
    PQconninfoFree(options);
    if (has_password)
        return error_set(err, ERROR_PERMANENT, EINVAL,
                         "the URL may not contain a password; put it in a file (mode 0600) and set "
                         "store.password_file to its path");
    return 0;
}

/* The later value wins: what the URL may override is before it, the rest after it. */
static PGconn *start_connecting(const struct target *target, size_t host)
{
    const char *parameters[CONNECT_PARAMETERS_MAX][2] = {
        {"application_name", "tailslate-verifier"},
        {"target_session_attrs", "read-write"},
        {"gssencmode", "disable"},
        {"keepalives_idle", "30"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "5000"},
        {"dbname", target->url},
        {"client_encoding", "UTF8"},
    };
    size_t count = 9;
    if (target->password) {
        parameters[count][0] = "password";
        parameters[count++][1] = target->password;
    }
    if (host < target->host_count) {
        parameters[count][0] = "host";
        parameters[count++][1] = target->host[host];
        parameters[count][0] = "port";
        parameters[count++][1] = target->port[host];
    }
    const char *keywords[CONNECT_PARAMETERS_MAX + 1] = {0},
                                                  *values[CONNECT_PARAMETERS_MAX + 1] = {0};
    for (size_t i = 0; i < count; i++) {
        keywords[i] = parameters[i][0];
        values[i] = parameters[i][1];
    }
    return PQconnectStartParams(keywords, values, 1);
}

static int unreachable(PGconn *conn, struct error *err)
{
    char text[POSTGRES_REASON_BYTES];
    if (PQconnectionNeedsPassword(conn))
        return error_set(err, ERROR_TEMPORARY, DB_BROKEN,
                         "PostgreSQL requires a password: set store.password_file");
    postgres_one_line(PQerrorMessage(conn), text);
    return error_set(err, ERROR_TEMPORARY, DB_BROKEN, "PostgreSQL: %s", text);
}

static int finish_connecting(PGconn *conn, int64_t deadline_ms, struct error *err)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    if (PQstatus(conn) == CONNECTION_BAD)
        status = PGRES_POLLING_FAILED;
    while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
        short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!postgres_wait(conn, events, deadline_ms)) {
            const char *host = PQhost(conn);
            return error_set(err, ERROR_TEMPORARY, DB_BROKEN,
                             "PostgreSQL at %s did not answer in time",
                             host && *host ? host : "its host");
        }
        status = PQconnectPoll(conn);
    }
    if (status == PGRES_POLLING_OK && PQsetnonblocking(conn, 1) == 0)
        return 0;
    return unreachable(conn, err);
}

static PGconn *connect_any(const struct target *target, struct error *err)
{
    int64_t deadline_ms = mono_ms() + DB_WAIT_MS;
    size_t count = target->host_count > 0 ? target->host_count : 1;
    for (size_t i = 0; i < count; i++) {
        int64_t now_ms = mono_ms(), share_ms = (deadline_ms - now_ms) / (int64_t)(count - i);
        PGconn *conn = start_connecting(target, i);
        must(conn);
        if (finish_connecting(conn, now_ms + share_ms, err) == 0)
            return conn;
        PQfinish(conn);
    }
    return NULL;
}

PGconn *postgres_connect(const char *url, const char *password_file, struct error *err)
{
    struct target target = {0};
    char password[CONFIG_SECRET_BYTES];
    if (read_target(url, &target, err) != 0)
        return NULL;
    if (password_file && *password_file) {
        if (config_read_secret(password_file, password, err) != 0) {
            error_wrap(err, "store.password_file");
            return NULL;
        }
        target.password = password;
    }
    PGconn *conn = connect_any(&target, err);
    explicit_bzero(password, sizeof password);
    return conn;
}

/* ---- PostgreSQL's forms of messages, numbers, times and statements ---- */

void postgres_one_line(const char *message, char text[POSTGRES_REASON_BYTES])
{
    size_t length = 0;
    for (; *message && length < POSTGRES_REASON_BYTES - 1; message++)
        if (*message != '\n' && *message != '\t')
            text[length++] = *message;
        else if (length > 0 && text[length - 1] != ' ')
            text[length++] = ' ';
    while (length > 0 && text[length - 1] == ' ')
        length--;
    text[length] = '\0';
}

int64_t postgres_integer(const char *text)
{
    bool is_negative = *text == '-';
    int64_t value = 0; /* kept negative: that range has one value more */
    for (text += is_negative; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *text - '0', &value))
            return is_negative ? INT64_MIN : INT64_MAX;
    return is_negative ? value : value == INT64_MIN ? INT64_MAX : -value;
}

const char *postgres_time(const char *value, bool has_offset, char text[WALL_TEXT_BYTES])
{
    char full[WALL_TEXT_BYTES + 8];
    int64_t us;
    snprintf(full, sizeof full, "%s%s", value, has_offset ? ":00" : "+00:00");
    if (!wall_parse(full, &us))
        return value; /* infinity */
    wall_format(us, text);
    return text;
}

char *postgres_sql(const char *sql)
{
    char *text = must_strdup(sql);
    for (char *mark = text; (mark = strpbrk(mark, "/*")) != NULL; mark++)
        if ((mark[0] == '/' && mark[1] == '*') || (mark[0] == '*' && mark[1] == '/'))
            mark[0] = mark[1] = ' ';
    return text;
}
