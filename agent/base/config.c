#include "agent/base/config.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_TARGET struct config

#define PRESETS "ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow"

static const struct config_key keys[] = {
    CONFIG_TEXT_KEY(server, url, "http://127.0.0.1:9002", NULL,
                    "URL of the verifier, or of a stock server's worker API: http:// or https://"),
    CONFIG_TEXT_KEY(
        server, api_key_file, "/etc/tailslate/agent.key", NULL,
        "file that holds the worker's API key, mode 0600; a name without a slash is a systemd "
        "credential"),
    CONFIG_TEXT_KEY(server, ca_file, "", NULL,
                    "CA certificates to trust (PEM); empty: the system's"),
    CONFIG_TEXT_KEY(server, cert_file, "", NULL, "client certificate (PEM); empty: none"),
    CONFIG_TEXT_KEY(server, key_file, "", NULL, "the client certificate's key (PEM); empty: none"),

    CONFIG_TEXT_KEY(node, name, "", NULL,
                    "this node's name in logs and status; empty: the host's name"),
    CONFIG_TEXT_KEY(node, state_dir, "/var/lib/tailslate-agent", NULL,
                    "directory for the spool and work in progress; must survive a reboot"),
    CONFIG_INTEGER_KEY(node, slots, 1, 1, 64, "number of transcodes that run at the same time"),
    CONFIG_NUMBER_KEY(node, min_free_disk_gb, 5.0, 0, 1e6,
                      "claim nothing while state_dir has less free space than this (GB)"),

    CONFIG_NUMBER_KEY(claim, poll_seconds, 10.0, 0.01, 3600,
                      "pause between claims if the server has no long polling (seconds, +-25 %)"),
    CONFIG_NUMBER_KEY(claim, wait_seconds, 30.0, 0, 60,
                      "how long the server may wait for a job before it answers a claim (seconds)"),

    CONFIG_NUMBER_KEY(heartbeat, interval_seconds, 30.0, 0.05, 300,
                      "pause between heartbeats (seconds)"),
    CONFIG_TEXT_KEY(
        heartbeat, code_version, "", NULL,
        "code version to report to a stock server (at most 40 bytes); if the server requires a "
        "different one, nothing is claimed; empty: report none"),

    CONFIG_NUMBER_KEY(retry, base_seconds, 1.0, 0.01, 60, "shortest backoff (seconds)"),
    CONFIG_NUMBER_KEY(retry, cap_seconds, 300.0, 0.01, 3600, "longest backoff (seconds)"),
    CONFIG_NUMBER_KEY(retry, rate_per_second, 5.0, 0.1, 1000,
                      "reports presented per second at most, over all records"),
    CONFIG_NUMBER_KEY(
        retry, hold_days, 7.0, 0, 3650,
        "move finished work and its output to quarantine when the server has refused it (403, "
        "404, 409) for this long (days); 0: never"),

    CONFIG_TEXT_KEY(
        transcode, recipe, "ladder", "ladder|command",
        "ladder: the built-in ladder, made by ffmpeg; command: the program in transcode.command"),
    CONFIG_TEXT_KEY(
        transcode, command, "", NULL,
        "for recipe \"command\": the program and its arguments, split at whitespace; quotes group, "
        "no shell runs; {source} {output} {job_id} are replaced"),
    CONFIG_TEXT_KEY(transcode, codec, "auto", "auto|h264|hevc|av1",
                    "video codec of the ladder; auto: h264, which every player supports"),
    CONFIG_TEXT_KEY(
        transcode, encoder, "auto", "auto|cpu|nvenc|qsv|vaapi",
        "auto: the first hardware encoder that works (nvenc, qsv, vaapi), otherwise the CPU; a "
        "name: that encoder, otherwise the CPU; `check` shows what works on this node"),
    CONFIG_TEXT_KEY(
        transcode, device, "", NULL,
        "render node for qsv and vaapi (/dev/dri/renderD128); empty: the first one that can be "
        "opened"),
    CONFIG_TEXT_KEY(transcode, preset, "veryfast", PRESETS,
                    "speed or quality, as an x264 preset; other encoders use their closest preset"),
    CONFIG_NUMBER_KEY(transcode, segment_seconds, 6.0, 1, 60, "length of a segment (seconds)"),
    CONFIG_NUMBER_KEY(
        transcode, max_fps, 60.0, 1, 1000,
        "highest frame rate of an encoded rendition; a faster source is divided evenly"),
    CONFIG_BOOL_KEY(transcode, original, true,
                    "publish the source, remuxed, as the rendition `original`"),
    CONFIG_BOOL_KEY(transcode, accept_truncated, false,
                    "publish a truncated source as far as it goes, with a warning"),
    CONFIG_NUMBER_KEY(transcode, stall_seconds, 120.0, 0.1, 86400,
                      "stop a transcoder that makes no progress for this long (seconds)"),
    CONFIG_TEXT_KEY(transcode, ffmpeg, "ffmpeg", NULL, "path of ffmpeg, or a name to find in PATH"),
    CONFIG_TEXT_KEY(transcode, ffprobe, "ffprobe", NULL,
                    "path of ffprobe, or a name to find in PATH"),
    CONFIG_INTEGER_KEY(transcode, threads, 0, 0, 512,
                       "threads per transcoder; 0: the transcoder decides"),
    CONFIG_INTEGER_KEY(transcode, nice, 10, 0, 19,
                       "niceness of the transcoder; 0: the same as the agent's"),
    CONFIG_BOOL_KEY(
        transcode, network, false,
        "for recipe \"command\": allow it to use the network and gain privileges; the built-in "
        "ladder never can"),

    CONFIG_NUMBER_KEY(limits, wall_factor, 30.0, 0, 100000,
                      "longest transcode, as a multiple of the video's duration; 0: no limit"),
    CONFIG_NUMBER_KEY(limits, wall_floor_minutes, 30.0, 0, 100000,
                      "time added to that limit, for short videos (minutes)"),
    CONFIG_NUMBER_KEY(
        limits, memory_gb, 0.0, 0, 100000,
        "memory limit of a transcoder and its child processes (GB); 0: three quarters of the "
        "machine's memory, divided by node.slots"),
    CONFIG_NUMBER_KEY(limits, output_factor, 4.0, 0, 1000,
                      "largest output, as a multiple of what its bit rates predict; 0: no limit"),
    CONFIG_NUMBER_KEY(
        limits, unsized_source_gb, 64.0, 0, 1e6,
        "largest source to download if the server does not state its size (GB); 0: no limit"),
    CONFIG_TEXT_KEY(limits, io, "low", "low|normal", "the transcoder's disk priority"),
    CONFIG_INTEGER_KEY(limits, open_files, 1024, 64, 1048576,
                       "files that a transcoder may have open at the same time"),

    CONFIG_TEXT_KEY(health, address, "127.0.0.1", NULL,
                    "address for /healthz, /readyz and /metrics"),
    CONFIG_INTEGER_KEY(health, port, 0, 0, 65535,
                       "port for /healthz, /readyz and /metrics; 0: off"),

    CONFIG_TEXT_KEY(log, level, "info", "debug|info|warning|error", "lowest level that is logged"),
    CONFIG_TEXT_KEY(log, format, "text", "text|json", "text is logfmt"),
};
enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

static const char sample_header[] =
    "Tailslate agent: every key with its default. Keep only the keys that you change.\n"
    "Regenerate with: tailslate-agent check --sample > agent.cfg.sample\n"
    "Any key can be overridden by the environment: TAILSLATE_<GROUP>_<KEY>,\n"
    "for example TAILSLATE_NODE_SLOTS=2.";

static bool is_http_url(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

enum { CODE_VERSION_MAX_BYTES = 40 }; /* as on the wire */

static bool has_user(const char *url)
{
    const char *host = strstr(url, "//");
    return host && memchr(host, '@', strcspn(host + 2, "/?#") + 2);
}

static bool is_address(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static void judge_server(const struct config *config, struct findings *findings)
{
    const char *url = config->server.url;
    if (has_user(url)) /* not repeated here */
        finding_add(findings, FINDING_BAD, "server.url",
                    "remove it, the server only needs the API key",
                    "the URL contains a user name or password");
    else if (!is_http_url(url))
        finding_add(findings, FINDING_BAD, "server.url", NULL,
                    "\"%s\" must begin with http:// or https://", url);
    if (!config->server.cert_file[0] != !config->server.key_file[0])
        finding_add(findings, FINDING_BAD, "server.key_file", NULL,
                    "set both server.cert_file and server.key_file, or neither");
}

void agent_config_judge(const struct config *config, struct findings *findings)
{
    judge_server(config, findings);
    if (config->node.state_dir[0] != '/')
        finding_add(findings, FINDING_BAD, "node.state_dir", NULL,
                    "\"%s\" must be an absolute path", config->node.state_dir);
    if (config->retry.cap_seconds < config->retry.base_seconds)
        finding_add(findings, FINDING_BAD, "retry.cap_seconds", NULL,
                    "%g is below retry.base_seconds (%g)", config->retry.cap_seconds,
                    config->retry.base_seconds);
    if (strlen(config->heartbeat.code_version) > CODE_VERSION_MAX_BYTES)
        finding_add(findings, FINDING_BAD, "heartbeat.code_version", NULL,
                    "must be at most %d bytes", CODE_VERSION_MAX_BYTES);
    if (strcmp(config->transcode.recipe, "command") == 0 && !config->transcode.command[0])
        finding_add(findings, FINDING_BAD, "transcode.command", NULL,
                    "is empty, but transcode.recipe is \"command\"");
    if (config->health.port && !is_address(config->health.address))
        finding_add(findings, FINDING_BAD, "health.address", "use an address like 127.0.0.1",
                    "%s is not an IP address", config->health.address);
}

int agent_config_read(const char *path, struct config *config, struct error *err)
{
    struct config read = {0};
    if (config_load(keys, KEY_COUNT, path, &read, err) != 0)
        return -1;
    if (!read.node.name[0] && gethostname(read.node.name, sizeof read.node.name - 1) != 0)
        return error_errno(err, "cannot read the host name");
    *config = read;
    return 0;
}

int agent_config_load(const char *path, struct config *config, struct error *err)
{
    struct config read;
    struct findings findings = {.out = NULL};
    if (agent_config_read(path, &read, err) != 0)
        return -1;
    agent_config_judge(&read, &findings);
    if (findings_refuse(&findings, err) != 0)
        return error_wrap(err, "%s", path ? path : "environment");
    *config = read;
    return 0;
}

void agent_config_print(const struct config *config, FILE *out)
{
    config_print(keys, KEY_COUNT, config, out);
}

void agent_config_print_sample(FILE *out)
{
    config_print_sample(keys, KEY_COUNT, sample_header, out);
}
