#include "agent/base/config.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define AT(member) offsetof(struct config, member)
#define TEXT_KEY(group, name, fallback, choices, help)                                             \
    {                                                                                              \
#group, #name, CONFIG_TEXT, AT(group.name), "\"" fallback "\"", 0, 0, choices, help        \
    }
#define INTEGER_KEY(group, name, fallback, min, max, help)                                         \
    {                                                                                              \
#group, #name, CONFIG_INTEGER, AT(group.name), #fallback, min, max, NULL, help             \
    }
#define NUMBER_KEY(group, name, fallback, min, max, help)                                          \
    {                                                                                              \
#group, #name, CONFIG_NUMBER, AT(group.name), #fallback, min, max, NULL, help              \
    }
#define BOOL_KEY(group, name, fallback, help)                                                      \
    {                                                                                              \
#group, #name, CONFIG_BOOL, AT(group.name), #fallback, 0, 0, NULL, help                    \
    }

#define PRESETS "ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow"

static const struct config_key keys[] = {
    TEXT_KEY(server, url, "http://127.0.0.1:9002", NULL,
             "where the verifier (or a stock server's worker API) listens: http:// or https://"),
    TEXT_KEY(server, api_key_file, "/etc/tailslate/agent.key", NULL,
             "file with the worker's API key, mode 0600; without a slash: a systemd credential"),
    TEXT_KEY(server, ca_file, "", NULL,
             "certificates to trust instead of the system's; empty: "
             "the system's"),
    TEXT_KEY(server, cert_file, "", NULL, "client certificate (PEM); empty: none"),
    TEXT_KEY(server, key_file, "", NULL, "the client certificate's key (PEM); empty: none"),

    TEXT_KEY(node, name, "", NULL, "this node's name in logs and status; empty: the host's name"),
    TEXT_KEY(node, state_dir, "/var/lib/tailslate-agent", NULL,
             "the spool and all work in progress; on a disk that survives a reboot"),
    INTEGER_KEY(node, slots, 1, 1, 64, "transcodes at a time"),
    NUMBER_KEY(node, min_free_disk_gb, 5.0, 0, 1e6,
               "below this much free space in state_dir nothing is claimed (GB)"),

    NUMBER_KEY(claim, poll_seconds, 10.0, 0.01, 3600,
               "pause between claims where the server has no long poll (seconds, +-25 %)"),
    NUMBER_KEY(claim, wait_seconds, 30.0, 0, 60, "how long the server may hold a claim (seconds)"),

    NUMBER_KEY(heartbeat, interval_seconds, 30.0, 0.05, 300, "pause between heartbeats (seconds)"),
    TEXT_KEY(
        heartbeat, code_version, "", NULL,
        "the version that a stock server is told (40 bytes at most); where it asks for another "
        "one, nothing is claimed; empty: none is told"),

    NUMBER_KEY(retry, base_seconds, 1.0, 0.01, 60, "first step of the backoff (seconds)"),
    NUMBER_KEY(retry, cap_seconds, 300.0, 0.01, 3600, "longest step of the backoff (seconds)"),
    NUMBER_KEY(retry, rate_per_second, 5.0, 0.1, 1000,
               "deliveries a second over all records, so that a backlog is a trickle"),
    NUMBER_KEY(retry, hold_days, 7.0, 0, 3650,
               "finished work that the server has refused for so long (403, 404, 409) is set aside "
               "with its output, into quarantine; 0: never (days)"),

    TEXT_KEY(transcode, recipe, "ladder", "ladder|command",
             "ladder: built in, by ffmpeg; command: the program below"),
    TEXT_KEY(transcode, command, "", NULL,
             "recipe command: program and arguments, split at blanks, quotes group, no shell; "
             "{source} {output} {job_id} are replaced"),
    TEXT_KEY(transcode, codec, "auto", "auto|h264|hevc|av1",
             "what the ladder is made in; auto: h264, which every player takes"),
    TEXT_KEY(transcode, encoder, "auto", "auto|cpu|nvenc|qsv|vaapi",
             "auto: the first hardware that works (nvenc, qsv, vaapi), else the CPU; one by name: "
             "that one, else the CPU; `check` shows what works here"),
    TEXT_KEY(transcode, device, "", NULL,
             "render node for qsv and vaapi (/dev/dri/renderD128); empty: the first that may be "
             "opened"),
    TEXT_KEY(transcode, preset, "veryfast", PRESETS,
             "speed against quality, in x264's words; the other encoders get what is nearest"),
    NUMBER_KEY(transcode, segment_seconds, 6.0, 1, 60, "length of a segment (seconds)"),
    NUMBER_KEY(transcode, max_fps, 60.0, 1, 1000,
               "frames a second of an encoded rendition: a faster source is divided evenly"),
    BOOL_KEY(transcode, original, true, "keep the source as the rendition `original`, remuxed"),
    BOOL_KEY(transcode, accept_truncated, false,
             "publish what there is of a source that is cut off, with a warning"),
    NUMBER_KEY(transcode, stall_seconds, 120.0, 0.1, 86400,
               "a transcoder without progress for so long is stopped (seconds)"),
    TEXT_KEY(transcode, ffmpeg, "ffmpeg", NULL, "the program, by path or looked up in PATH"),
    TEXT_KEY(transcode, ffprobe, "ffprobe", NULL, "the program, by path or looked up in PATH"),
    INTEGER_KEY(transcode, threads, 0, 0, 512, "of the transcoder; 0: it decides"),
    INTEGER_KEY(transcode, nice, 10, 0, 19, "of the transcoder; 0: as the agent"),
    BOOL_KEY(transcode, network, false,
             "recipe command: may it use the network and gain privileges? ffmpeg of the ladder "
             "never may"),

    NUMBER_KEY(limits, wall_factor, 30.0, 0, 100000,
               "a transcode may take so many times the film's duration; 0: no limit"),
    NUMBER_KEY(limits, wall_floor_minutes, 30.0, 0, 100000,
               "and so long besides, for short films (minutes)"),
    NUMBER_KEY(limits, memory_gb, 0.0, 0, 100000,
               "memory of a transcoder with all that it starts (GB); 0: three quarters of the "
               "machine's, divided by node.slots"),
    NUMBER_KEY(limits, output_factor, 4.0, 0, 1000,
               "the output may be so many times what its bit rates give; 0: no limit"),
    NUMBER_KEY(
        limits, unsized_source_gb, 64.0, 0, 1e6,
        "a source of which the server does not say how large it is may be so large (GB); 0: no "
        "limit"),
    TEXT_KEY(limits, io, "low", "low|normal", "the transcoder's disk priority"),
    INTEGER_KEY(limits, open_files, 1024, 64, 1048576, "that a transcoder may have at a time"),

    TEXT_KEY(health, address, "127.0.0.1", NULL, "where /healthz /readyz /metrics listen"),
    INTEGER_KEY(health, port, 0, 0, 65535, "of the same; 0: off"),

    TEXT_KEY(log, level, "info", "debug|info|warning|error", "lines below it are not written"),
    TEXT_KEY(log, format, "text", "text|json", "text is logfmt"),
};
enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

static const char sample_header[] =
    "Tailslate agent: every key with its default. Keep what you change, leave out the rest.\n"
    "Regenerate with: tailslate-agent check --sample > agent.cfg.sample\n"
    "Any key can be overridden by the environment: TAILSLATE_<GROUP>_<KEY>,\n"
    "for example TAILSLATE_NODE_SLOTS=2.";

static bool is_http_url(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

enum { CODE_VERSION_MAX_BYTES = 40 }; /* the wire's */

static int check_together(const struct config *config, struct error *err)
{
    if (!is_http_url(config->server.url))
        return error_set(err, ERROR_PERMANENT, 0,
                         "server.url is \"%s\"; it begins with http:// or https://",
                         config->server.url);
    if (config->node.state_dir[0] != '/')
        return error_set(err, ERROR_PERMANENT, 0,
                         "node.state_dir is \"%s\"; it is an absolute path",
                         config->node.state_dir);
    if (config->retry.cap_seconds < config->retry.base_seconds)
        return error_set(err, ERROR_PERMANENT, 0,
                         "retry.cap_seconds (%g) is below retry.base_seconds (%g)",
                         config->retry.cap_seconds, config->retry.base_seconds);
    if (!config->server.cert_file[0] != !config->server.key_file[0])
        return error_set(err, ERROR_PERMANENT, 0,
                         "server.cert_file and server.key_file go together: set both or neither");
    if (strlen(config->heartbeat.code_version) > CODE_VERSION_MAX_BYTES)
        return error_set(err, ERROR_PERMANENT, 0, "heartbeat.code_version is longer than %d bytes",
                         CODE_VERSION_MAX_BYTES);
    bool runs_command = strcmp(config->transcode.recipe, "command") == 0;
    if (runs_command && !config->transcode.command[0])
        return error_set(err, ERROR_PERMANENT, 0,
                         "transcode.recipe is \"command\" but transcode.command is empty");
    return 0;
}

int agent_config_load(const char *path, struct config *config, struct error *err)
{
    struct config read = {0};
    if (config_load(keys, KEY_COUNT, path, &read, err) != 0)
        return -1;
    if (check_together(&read, err) != 0)
        return error_wrap(err, "%s", path ? path : "environment");
    if (!read.node.name[0] && gethostname(read.node.name, sizeof read.node.name - 1) != 0)
        return error_errno(err, "the host's name");
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
