#include "agent/cli/doctor.h"

#include "agent/api/connect.h"
#include "agent/base/tool.h"
#include "agent/cli/doctor_encoders.h"
#include "agent/cli/doctor_report.h"
#include "agent/cli/preflight.h"
#include "agent/spool/spool.h"
#include "agent/step/disk.h"
#include "lib/cleanup.h"
#include "lib/durable.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void check_writing(struct doctor *doctor, int dir)
{
    char name[DURABLE_TEMP_BYTES];
    struct error err;
    FD(fd) = durable_temp(dir, name, &err);
    if (fd >= 0)
        unlinkat(dir, name, 0);
    else
        finding_add_error(&doctor->findings, "node.state_dir", NULL, &err);
}

static void check_disk(struct doctor *doctor)
{
    int64_t free_bytes;
    struct error err;
    double limit = doctor->config->node.min_free_disk_gb;
    FD(dir) = open(doctor->config->node.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) /* the preflight's finding, or `run` creates it */
        return;
    check_writing(doctor, dir);
    if (disk_free_bytes(dir, &free_bytes, &err) != 0)
        finding_add_error(&doctor->findings, "disk", NULL, &err);
    else if ((double)free_bytes < limit * 1e9)
        finding_add(&doctor->findings, FINDING_PASSING, "disk",
                    "free disk space or lower node.min_free_disk_gb; nothing is claimed until then",
                    "%.1f GB free, node.min_free_disk_gb is %g", (double)free_bytes / 1e9, limit);
    else
        finding_add(&doctor->findings, FINDING_GOOD, "disk", NULL,
                    "%.1f GB free (at least %g required)", (double)free_bytes / 1e9, limit);
}

/* That it is there is the preflight's finding. */
static bool check_tool(struct doctor *doctor, const char *key, const char *program)
{
    char version[TOOL_VERSION_BYTES];
    struct error err;
    TEXT(text) = NULL;
    if (tool_find(program, &err) != 0)
        return false;
    if (tool_ask(program, "-version", &text, &err) != 0) {
        finding_add(&doctor->findings, FINDING_BAD, key, "install another build of it", "%s",
                    err.message);
        return false;
    }
    if (!tool_parse_version(text, version)) {
        finding_add(&doctor->findings, FINDING_BAD, key, "configure the right program",
                    "cannot parse the output of '%s -version'", program);
        return false;
    }
    finding_add(&doctor->findings, FINDING_GOOD, key, NULL, "%s, version %s", program, version);
    return true;
}

static void check_tools(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    if (strcmp(config->transcode.recipe, "ladder") == 0) {
        if (check_tool(doctor, "ffmpeg", config->transcode.ffmpeg))
            doctor_check_encoders(doctor);
    } else {
        finding_add(&doctor->findings, FINDING_NOTE, "command", NULL, "recipe `command` runs: %s",
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
        finding_add(&doctor->findings, FINDING_NOTE, "server", NULL,
                    "not asked: its URL or the key is not usable");
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

int doctor_run(const struct config *config, const char *config_path, bool prints)
{
    struct doctor doctor = {.config = config, .findings = {.out = stdout}};
    struct error err;
    if (http_global_init(&err) != 0) {
        fprintf(stderr, "tailslate-agent: %s\n", err.message);
        return error_exit_status(&err);
    }
    if (prints) {
        agent_config_print(config, stdout);
        putchar('\n');
    }
    finding_add(&doctor.findings, FINDING_GOOD, "configuration", NULL, "%s",
                config_path ? config_path : "the environment alone");
    preflight(config, &doctor.findings);
    check_disk(&doctor);
    check_tools(&doctor);
    check_server(&doctor);
    return findings_exit_status(&doctor.findings);
}
