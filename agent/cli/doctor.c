#include "agent/cli/doctor.h"

#include "agent/api/connect.h"
#include "agent/base/tool.h"
#include "agent/cli/doctor_encoders.h"
#include "agent/cli/doctor_report.h"
#include "agent/spool/spool.h"
#include "agent/step/disk.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void check_key(struct doctor *doctor)
{
    char secret[CONFIG_SECRET_BYTES];
    struct error err;
    const char *path = doctor->config->server.api_key_file;
    if (config_read_secret(path, secret, &err) == 0)
        doctor_report(doctor, FINDING_GOOD, "key file", NULL, "%s", path);
    else
        doctor_report(doctor, FINDING_BAD, "key file",
                      "write the worker's API key to it (tailslate-verifier worker add NAME "
                      "--key-file FILE), mode 0600",
                      "%s", err.message);
    explicit_bzero(secret, sizeof secret);
}

static void check_disk(struct doctor *doctor, int dir)
{
    int64_t free_bytes;
    struct error err;
    double limit = doctor->config->node.min_free_disk_gb;
    if (disk_free_bytes(dir, &free_bytes, &err) != 0)
        doctor_report(doctor, FINDING_BAD, "disk", NULL, "%s", err.message);
    else if ((double)free_bytes < limit * 1e9)
        doctor_report(
            doctor, FINDING_BAD, "disk",
            "free disk space or lower node.min_free_disk_gb; nothing is claimed until then",
            "%.1f GB free, node.min_free_disk_gb is %g", (double)free_bytes / 1e9, limit);
    else
        doctor_report(doctor, FINDING_GOOD, "disk", NULL, "%.1f GB free (at least %g required)",
                      (double)free_bytes / 1e9, limit);
}

static bool is_writable(int dir, struct error *err)
{
    char name[DURABLE_TEMP_BYTES];
    FD(fd) = durable_temp(dir, name, err);
    if (fd >= 0)
        unlinkat(dir, name, 0);
    return fd >= 0;
}

/* If it does not exist yet, `run` creates it: then check its parent. */
static void check_state_dir(struct doctor *doctor)
{
    const char *advice = "create it on persistent storage, owned by the agent's user, mode 0700";
    struct error err;
    TEXT(path) = must_strdup(doctor->config->node.state_dir);
    FD(dir) = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_there = dir >= 0;
    if (!is_there && errno == ENOENT && strrchr(path, '/') != path) {
        *strrchr(path, '/') = '\0';
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (dir < 0) {
        error_errno(&err, "%s", path);
        doctor_report(doctor, FINDING_BAD, "state_dir", advice, "%s", err.message);
        return;
    }
    if (!is_writable(dir, &err))
        doctor_report(doctor, FINDING_BAD, "state_dir", advice, "%s: %s", path, err.message);
    else
        doctor_report(doctor, FINDING_GOOD, "state_dir", NULL, "%s%s",
                      doctor->config->node.state_dir, is_there ? "" : " (`run` creates it)");
    check_disk(doctor, dir);
}

static bool check_tool(struct doctor *doctor, const char *key, const char *program)
{
    char version[TOOL_VERSION_BYTES];
    struct error err;
    TEXT(text) = NULL;
    bool is_fine = false;
    if (tool_find(program, &err) != 0 || tool_ask(program, "-version", &text, &err) != 0)
        doctor_report(doctor, FINDING_BAD, key,
                      "install it (apt-get install ffmpeg) or configure its path", "%s",
                      err.message);
    else if (!tool_parse_version(text, version))
        doctor_report(doctor, FINDING_BAD, key, "configure the right program",
                      "cannot parse the output of '%s -version'", program);
    else
        is_fine = true;
    if (is_fine)
        doctor_report(doctor, FINDING_GOOD, key, NULL, "%s, version %s", program, version);
    return is_fine;
}

static void check_tools(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    if (strcmp(config->transcode.recipe, "ladder") == 0) {
        if (check_tool(doctor, "ffmpeg", config->transcode.ffmpeg))
            doctor_check_encoders(doctor);
    } else {
        doctor_report(doctor, FINDING_NOTE, "command", NULL, "recipe `command` runs: %s",
                      config->transcode.command);
    }
    check_tool(doctor, "ffprobe", config->transcode.ffprobe);
    doctor_check_limits(doctor);
}

/* List a running agent's jobs, so that this heartbeat does not make them look abandoned. */
static char *format_heartbeat(const struct config *config)
{
    struct message_heartbeat heartbeat = {.status = WORKER_IDLE};
    struct spool spool;
    struct error ignored;
    struct spool_entry *entries = NULL;
    size_t count = 0;
    if (spool_open(config->node.state_dir, SPOOL_READ, &spool, &ignored) == 0) {
        heartbeat.jobs_known = spool_list(spool.live, &entries, &count, NULL, &ignored) == 0;
        spool_close(&spool);
    }
    if (count > HELD_JOBS_MAX) /* an incomplete list is worse than none */
        heartbeat.jobs_known = false;
    for (size_t i = 0; heartbeat.jobs_known && i < count; i++)
        heartbeat.jobs[heartbeat.job_count++] = entries[i].job_id;
    heartbeat.jobs_known = heartbeat.jobs_known &&
                           message_heartbeat_fits(heartbeat.jobs, heartbeat.job_count);
    if (count > 0)
        heartbeat.status = WORKER_BUSY;
    free(entries);
    return message_heartbeat_format(&heartbeat);
}

static void check_server(struct doctor *doctor)
{
    struct error err;
    struct http_client *client = connect_client(doctor->config, &err);
    if (!client) {
        doctor_report(doctor, FINDING_NOTE, "server", NULL, "not checked: no usable key");
        return;
    }
    TEXT(body) = format_heartbeat(doctor->config);
    struct http_answer answer = {0};
    struct http_request request = http_post("/api/worker/heartbeat", body);
    request.deadline_ms = HTTP_CONNECT_MS;
    http_perform(client, &request, &answer);
    doctor_judge_server(doctor, &answer);
    http_answer_fini(&answer);
    http_client_free(client);
}

int doctor_run(const struct config *config, const char *config_path)
{
    const char *source = config_path ? config_path : "the environment alone";
    struct doctor doctor = {.config = config};
    struct error err;
    if (http_global_init(&err) != 0) {
        fprintf(stderr, "tailslate-agent: %s\n", err.message);
        return error_exit_status(&err);
    }
    printf("# effective configuration: %s%s\n", source, config_path ? " and the environment" : "");
    agent_config_print(config, stdout);
    putchar('\n');
    doctor_report(&doctor, FINDING_GOOD, "configuration", NULL, "%s", source);
    check_key(&doctor);
    check_state_dir(&doctor);
    check_tools(&doctor);
    check_server(&doctor);
    return doctor_exit_status(&doctor);
}
