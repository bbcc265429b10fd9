/* What forbids a start: `check` and the start itself say the same words and end with the same
 * status: 75 where another start may succeed without an edit, 78 where a person has to fix it. */
#include "lib/cleanup.h"
#include "lib/error.h"
#include "port.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_TEMPORARY = 75, EXIT_CONFIGURATION = 78 };

/* Both are called; the finding has the key and the words. */
static void expect_refusal(struct rig *rig, bool is_verifier, int status, const char *key,
                           const char *words)
{
    struct run (*call)(struct rig *, const char *const[]) = is_verifier ? rig_verifier : rig_agent;
    RUN(check) = call(rig, (const char *[]){"check", NULL});
    RUN(start) = call(rig, (const char *[]){is_verifier ? "serve" : "run", NULL});
    TEXT(line) = must_printf("%s  %s", status == EXIT_TEMPORARY ? "WAIT" : "FAIL", key);
    cr_expect_eq(check.status, status, "%s: check: %d %s", key, check.status, check.out);
    cr_expect(strstr(check.out, line) && strstr(check.out, words), "%s %s: %s", key, words,
              check.out);
    cr_expect_eq(start.status, status, "%s: start: %d %s", key, start.status, start.err);
    cr_expect(strstr(start.err, key) && strstr(start.err, words), "%s %s: %s", key, words,
              start.err);
    cr_expect_null(strstr(check.out, "GEHEIM"));
    cr_expect_null(strstr(start.err, "GEHEIM"));
}

struct wrong {
    const char *key, *value; /* RIG stands for the scratch directory */
    int status;
    const char *found, *words;
};

static void try_each(bool is_verifier, const struct wrong *wrong, size_t count)
{
    struct rig *rig = rig_new();
    struct settings *settings = is_verifier ? &rig->verifier_settings : &rig->agent_settings;
    const struct settings good = *settings;
    for (size_t i = 0; i < count; i++) {
        const char *text = wrong[i].value, *mark = strstr(text, "RIG");
        TEXT(value) = mark ? must_printf("%.*s%s%s", (int)(mark - text), text, rig->dir, mark + 3)
                           : must_strdup(text);
        *settings = good;
        (is_verifier ? rig_verifier_set : rig_agent_set)(rig, wrong[i].key, value);
        expect_refusal(rig, is_verifier, wrong[i].status,
                       wrong[i].found ? wrong[i].found : wrong[i].key, wrong[i].words);
    }
    rig_end(rig);
}

static const struct wrong of_verifier[] = {
    {"listen.address", "\"host.example\"", 78, NULL, "is not an IP address"},
    {"listen.address", "\"192.0.2.1\"", 75, NULL, "does not have the address 192.0.2.1"},
    {"store.url", "\"postgresql://u:GEHEIM@h/d\"", 78, NULL, "set store.password_file"},
    {"store.url", "\"sqlite:/nowhere/at.db\"", 75, NULL, "/nowhere: No such file or directory"},
    {"files.uploads_dir", "\"/nowhere\"", 75, NULL, "create it, or mount"},
    {"files.videos_dir", "\"/nowhere\"", 75, NULL, "create it, or mount"},
    {"files.videos_dir", "\"/etc/passwd\"", 78, NULL, "Not a directory"},
    {"files.videos_dir", "\"RIG/uploads\"", 78, NULL, "is the directory of files.uploads_dir"},
    {"files.videos_dir", "\"RIG\"", 78, "files.uploads_dir", "is inside files.videos_dir"},
    {"files.uploads_dir", "\"RIG\"", 78, "files.videos_dir", "is inside files.uploads_dir"},
    {"auth.admin_secret_file", "\"/nowhere/secret\"", 75, NULL, "/nowhere/secret"},
    {"auth.admin_secret_file", "\"/etc/passwd\"", 78, NULL, "gives others access"},
    {"store.password_file", "\"/etc/passwd\"", 78, NULL, "gives others access"},
    {"listen.tls_cert_file", "\"/nowhere/c.pem\"", 78, "listen.tls_key_file", "set together"},
};

Test(preflight, serve_and_check_refuse_the_same, .timeout = 300)
{
    try_each(true, of_verifier, sizeof of_verifier / sizeof of_verifier[0]);
}

static const struct wrong of_agent[] = {
    {"server.url", "\"http://u:GEHEIM@h\"", 78, NULL, "contains a user name or password"},
    {"server.url", "\"ftp://h\"", 78, NULL, "must begin with http:// or https://"},
    {"server.api_key_file", "\"/nowhere/key\"", 75, NULL, "/nowhere/key"},
    {"server.api_key_file", "\"/etc/passwd\"", 78, NULL, "gives others access"},
    {"server.ca_file", "\"/nowhere/ca.pem\"", 75, NULL, "/nowhere/ca.pem"},
    {"node.state_dir", "\"/nowhere/agent\"", 75, NULL, "/nowhere: No such file or directory"},
    {"transcode.ffprobe", "\"/nowhere/ffprobe\"", 78, NULL, "/nowhere/ffprobe"},
};

Test(preflight, run_and_check_refuse_the_same, .timeout = 300)
{
    try_each(false, of_agent, sizeof of_agent / sizeof of_agent[0]);
}

Test(preflight, everything_that_is_wrong_is_found_at_once_one_a_line)
{
    struct rig *rig = rig_new();
    rig_verifier_set(rig, "listen.address", "\"host.example\"");
    rig_verifier_set(rig, "files.videos_dir", "\"/nowhere\"");
    rig_verifier_set(rig, "workers.offline_minutes", "0.02");
    rig_verifier_set(rig, "claims.duration_minutes", "0.02");
    RUN(check) = rig_verifier(rig, (const char *[]){"check", NULL});
    cr_assert_eq(check.status, EXIT_CONFIGURATION, "%d %s", check.status, check.out);
    static const char *const words[] = {"FAIL  listen.address", "FAIL  workers.offline_minutes",
                                        "WAIT  files.videos_dir", "ok    files.uploads_dir",
                                        "ok    store.url"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        cr_expect(strstr(check.out, words[i]), "%s: %s", words[i], check.out);
    cr_expect_null(strstr(check.out, "duration_minutes ="), "the configuration was not asked for");
    cr_expect_str_eq(check.err, "");
    RUN(printed) = rig_verifier(rig, (const char *[]){"check", "--print", NULL});
    cr_expect(strstr(printed.out, "duration_minutes = 0.02"), "%s", printed.out);
    rig_end(rig);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static int take_port(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0);
    return fd;
}

/* It may be our own service that has the port, so check cannot call it an error. */
static void expect_port_in_use(struct run *check, struct run *start, const char *key, int port)
{
    TEXT(words) = must_printf("note  %-22s  port %d is in use", key, port);
    cr_expect(strstr(check->out, words), "%s", check->out);
    TEXT(number) = must_printf("port %d: ", port);
    cr_expect_eq(start->status, EXIT_TEMPORARY, "%d %s", start->status, start->err);
    cr_expect(strstr(start->err, number) && strstr(start->err, "Address already in use"), "%s",
              start->err);
}

Test(preflight, a_port_in_use_is_a_note_of_check_and_another_start_may_succeed, .timeout = 60)
{
    struct rig *rig = rig_new();
    FD(taken) = take_port(rig->port);
    RUN(check) = rig_verifier(rig, (const char *[]){"check", NULL});
    RUN(serve) = rig_verifier(rig, (const char *[]){"serve", NULL});
    cr_expect_eq(check.status, 0, "%d %s", check.status, check.out);
    expect_port_in_use(&check, &serve, "listen.port", rig->port);
    int health = port_free();
    FD(other) = take_port(health);
    TEXT(port) = must_printf("%d", health);
    rig_agent_set(rig, "health.port", port);
    RUN(agent_check) = rig_agent(rig, (const char *[]){"check", NULL});
    RUN(run) = rig_agent(rig, (const char *[]){"run", NULL});
    expect_port_in_use(&agent_check, &run, "health.port", health);
    rig_end(rig);
}

/* ---- files that others can read, or the service's user cannot -------------------------------- */

Test(preflight, a_private_key_that_everybody_can_read_is_refused)
{
    struct rig *rig = rig_new();
    TEXT(script) = must_printf("cd '%s' && openssl req -x509 -newkey ec -pkeyopt "
                               "ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 2 "
                               "-subj /CN=x && chmod 644 k.pem",
                               rig->dir);
    RUN(made) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, RIG_START_MS);
    cr_assert_eq(made.status, 0, "%s", made.err);
    TEXT(certificate) = must_printf("\"%s/c.pem\"", rig->dir);
    TEXT(key) = must_printf("\"%s/k.pem\"", rig->dir);
    rig_verifier_set(rig, "listen.tls_cert_file", certificate);
    rig_verifier_set(rig, "listen.tls_key_file", key);
    expect_refusal(rig, true, EXIT_CONFIGURATION, "listen.tls_cert_file",
                   "gives everybody access to the private key");
    rig_agent_set(rig, "server.cert_file", certificate);
    rig_agent_set(rig, "server.key_file", key);
    expect_refusal(rig, false, EXIT_CONFIGURATION, "server.key_file",
                   "gives everybody access to the private key");
    rig_end(rig);
}

/* As the user nobody, by the shell: the test runs as root. */
static struct run as_nobody(const struct rig *rig, const char *program, const char *config,
                            const char *command)
{
    TEXT(path) = rig_path(rig, "%s", config);
    return run_program((const char *[]){"setpriv", "--reuid=65534", "--regid=65534",
                                        "--clear-groups", program, "-c", path, command, NULL},
                       (const char *const *)rig->env, RIG_START_MS);
}

Test(preflight, what_the_service_s_user_cannot_read_is_found_before_the_start, .timeout = 60)
{
    struct rig *rig = rig_new();
    RUN(written) = rig_verifier(rig, (const char *[]){"version", NULL});
    RUN(agent_written) = rig_agent(rig, (const char *[]){"version", NULL});
    TEXT(script) = must_printf("cd '%s' && chmod 755 . && chmod 644 *.cfg", rig->dir);
    RUN(opened) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, RIG_START_MS);
    RUN(verifier) = as_nobody(rig, TAILSLATE_VERIFIER, "verifier.cfg", "serve");
    cr_expect_eq(verifier.status, EXIT_CONFIGURATION, "%d %s", verifier.status, verifier.err);
    cr_expect(strstr(verifier.err, "auth.admin_secret_file: cannot open"), "%s", verifier.err);
    cr_expect(strstr(verifier.err, "files.uploads_dir: "), "%s", verifier.err);
    RUN(agent) = as_nobody(rig, TAILSLATE_AGENT, "agent.cfg", "check");
    cr_expect_eq(agent.status, EXIT_CONFIGURATION, "%d %s", agent.status, agent.out);
    cr_expect(strstr(agent.out, "FAIL  server.api_key_file"), "%s", agent.out);
    cr_expect(strstr(agent.out, "FAIL  node.state_dir"), "%s", agent.out);
    rig_end(rig);
}
