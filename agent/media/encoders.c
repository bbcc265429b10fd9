#include "agent/media/encoders.h"

#include "agent/base/child.h"
#include "agent/media/encoders_file.h"
#include "agent/media/ladder.h"
#include "agent/media/machine.h"
#include "base/clock.h"
#include "lib/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { OUTPUT_MAX_BYTES = CODECS_INIT_MAX_BYTES, LOG_MAX_BYTES = 16 * 1024 };

/* ---- one encoder probe ----------------------------------------------------------------------- */

/* "[h264_nvenc @ 0x55d0] Cannot load libcuda.so.1" -> "Cannot load libcuda.so.1" */
static const char *without_address(const char *line)
{
    const char *at = line[0] == '[' ? strstr(line, " @ 0x") : NULL;
    const char *end = at ? strstr(at, "] ") : NULL;
    return end && !memchr(line, '\n', (size_t)(end - line)) ? end + 2 : line;
}

/* The first line that starts with the name of a part of ffmpeg; libraries print other lines around
 * it ("Warning: using insecure memory!"). If there is none, the first non-empty line. */
void encoders_explain(const char *log, char reason[ENCODERS_REASON_BYTES])
{
    bool is_named = false;
    reason[0] = '\0';
    while (*log && !is_named) {
        const char *line = without_address(log);
        size_t length = strcspn(line, "\n");
        bool is_blank = strspn(line, " \t\r") >= length;
        is_named = line != log && !is_blank;
        if (is_named || (!is_blank && !reason[0]))
            snprintf(reason, ENCODERS_REASON_BYTES, "%.*s", (int)length, line);
        log = line + length + (line[length] == '\n');
    }
    for (char *at = reason; *at; at++)
        if (iscntrl((unsigned char)*at))
            *at = ' ';
}

static char *read_memory(int fd, size_t max_bytes, size_t *size)
{
    char *data = must_malloc(max_bytes + 1);
    ssize_t got = pread(fd, data, max_bytes, 0);
    *size = got > 0 ? (size_t)got : 0;
    data[*size] = '\0';
    return data;
}

/* Its output is checked: exit status 0 says little. */
static bool judge_output(enum encoder_id id, int output, char reason[ENCODERS_REASON_BYTES])
{
    size_t size;
    struct codecs codecs;
    TEXT(data) = read_memory(output, OUTPUT_MAX_BYTES, &size);
    measure_codecs((const unsigned char *)data, size, &codecs);
    size_t keyframes = measure_count_boxes((const unsigned char *)data, size, "moof");
    reason[0] = '\0';
    if (codecs.video != encoder_codec(id))
        snprintf(reason, ENCODERS_REASON_BYTES, "its output is not %s",
                 tailslate_codec_name(encoder_codec(id)));
    else if (keyframes != LADDER_PROBE_KEYFRAMES)
        snprintf(reason, ENCODERS_REASON_BYTES, "it made %zu keyframes instead of the requested %d",
                 keyframes, LADDER_PROBE_KEYFRAMES);
    return reason[0] == '\0';
}

static bool judge(enum encoder_id id, struct child_exit how, int output, int log,
                  char reason[ENCODERS_REASON_BYTES])
{
    if (!how.signalled && how.number == 0)
        return judge_output(id, output, reason);
    size_t size;
    TEXT(text) = read_memory(log, LOG_MAX_BYTES, &size);
    encoders_explain(text, reason);
    if (!reason[0])
        child_describe(how, reason, ENCODERS_REASON_BYTES);
    return false;
}

/* The whole group at once: a hanging driver does not react to SIGTERM. False: it did not end. */
static bool wait_or_kill(struct child *child, int64_t limit_ms, struct child_exit *how)
{
    if (child_wait(child, limit_ms, how))
        return true;
    kill(-child->pid, SIGKILL);
    while (!child_wait(child, CHILD_TERM_MS, how))
        ;
    return false;
}

enum encode_result { ENCODE_WORKS, ENCODE_FAILS, ENCODE_HANGS };

static enum encode_result probe_one(const struct config *config, const struct encoder_use *use,
                                    int nice, int64_t limit_ms, char reason[ENCODERS_REASON_BYTES])
{
    struct error err;
    struct argv argv = {0};
    char quiet[] = ENCODERS_QUIET;
    char *environment[] = {quiet, NULL};
    FD(output) = memfd_create("encoder-probe", MFD_CLOEXEC);
    FD(log) = memfd_create("encoder-probe-log", MFD_CLOEXEC);
    if (output < 0 || log < 0) {
        snprintf(reason, ENCODERS_REASON_BYTES, "memfd: %s", strerror(errno));
        return ENCODE_FAILS;
    }
    ladder_encoder_probe_argv(config, use, &argv);
    struct child_options options = {
        .argv = argv.items,
        .environment = environment,
        .directory = -1,
        .out_fd = output,
        .err_fd = log,
        .sandbox = {.network = encoders_network(use->id),
                    .nice = nice,
                    .file_limit_bytes = OUTPUT_MAX_BYTES},
    };
    struct child child = CHILD_INIT;
    struct child_exit how = {.number = -1};
    int spawned = child_spawn(&options, &child, &err);
    argv_fini(&argv);
    if (spawned < 0) {
        snprintf(reason, ENCODERS_REASON_BYTES, "%.190s", err.message);
        return ENCODE_FAILS;
    }
    if (!wait_or_kill(&child, limit_ms, &how)) {
        snprintf(reason, ENCODERS_REASON_BYTES, "it did not finish within %g s%s",
                 (double)limit_ms / 1000,
                 encoder_kind(use->id) == ENCODER_CPU ? " (this node may be overloaded)" : "");
        return ENCODE_HANGS;
    }
    return judge(use->id, how, output, log, reason) ? ENCODE_WORKS : ENCODE_FAILS;
}

enum sandbox_network encoders_network(enum encoder_id id)
{
    /* Drivers use local sockets to reach their daemons (MPS, persistenced). */
    return encoder_kind(id) == ENCODER_CPU ? SANDBOX_CLOSED : SANDBOX_LOCAL;
}

/* ---- the devices ----------------------------------------------------------------------------- */

/* The first one that we can open; NVIDIA's render node, which has no VAAPI, comes last. */
static const struct gpu *pick_render_node(const struct gpu *gpus, size_t count)
{
    const struct gpu *picked = NULL;
    for (size_t i = 0; i < count; i++) {
        bool is_second = strncmp(gpus[i].name, "NVIDIA", 6) == 0;
        if (!gpus[i].is_nvidia && gpus[i].may_use && (!picked || !is_second)) {
            picked = &gpus[i];
            if (!is_second)
                break;
        }
    }
    return picked;
}

static void check_devices(const struct config *config, struct encoders *found)
{
    struct gpu gpus[GPU_MAX];
    size_t count = machine_list_gpus(gpus);
    const struct gpu *node = pick_render_node(gpus, count);
    if (config->transcode.device[0])
        snprintf(found->device, sizeof found->device, "%.127s", config->transcode.device);
    else if (node)
        snprintf(found->device, sizeof found->device, "%s", node->path);
    for (size_t i = 0; i < count; i++)
        if (gpus[i].is_nvidia || (!found->gpu[0] && strcmp(gpus[i].path, found->device) == 0))
            snprintf(found->gpu, sizeof found->gpu, "%s", gpus[i].name);
    machine_nvidia_version(found->driver, sizeof found->driver);
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct probes {
    const struct config *config;
    struct encoders *found;
    const char *list; /* the output of -encoders */
    enum encoders_patience patience;
    int64_t deadline_ms;
    enum encoder_id hung[ENCODER_KIND_COUNT]; /* ENCODER_COUNT: none */
};

/* NULL: it can be probed. */
static const char *why_not_probed(struct probes *probes, enum encoder_id id)
{
    enum encoder_kind kind = encoder_kind(id);
    if (!tool_has_encoder(probes->list, encoder_name(id)))
        return "this ffmpeg build does not have it";
    if ((kind == ENCODER_QSV || kind == ENCODER_VAAPI) && !probes->found->device[0])
        return "no /dev/dri/renderD* that this user can open";
    if (probes->hung[kind] != ENCODER_COUNT)
        return "not probed: another encoder of its kind did not finish";
    if (mono_ms() < probes->deadline_ms)
        return NULL;
    probes->found->is_incomplete = true;
    return "not probed: out of time";
}

static void probe_if_possible(struct probes *probes, enum encoder_id id)
{
    char *reason = probes->found->reasons[id];
    const char *why_not = why_not_probed(probes, id);
    if (why_not) {
        snprintf(reason, ENCODERS_REASON_BYTES, "%s", why_not);
        return;
    }
    struct encoder_use use = {.id = id};
    memcpy(use.device, probes->found->device, sizeof use.device);
    bool is_late = probes->patience == ENCODERS_LATE;
    int nice = is_late ? (int)probes->config->transcode.nice : 0;
    int64_t left_ms = probes->deadline_ms - mono_ms();
    int64_t limit_ms = is_late ? ENCODERS_LATE_MS : ENCODERS_SOON_MS;
    enum encode_result result = probe_one(probes->config, &use, nice,
                                          left_ms < limit_ms ? left_ms : limit_ms, reason);
    if (result == ENCODE_WORKS)
        probes->found->working |= 1u << id;
    if (result == ENCODE_HANGS)
        probes->found->is_incomplete = true;
    /* A driver that hangs does so for all codecs; the CPU's encoders are independent. */
    if (result == ENCODE_HANGS && encoder_kind(id) != ENCODER_CPU)
        probes->hung[encoder_kind(id)] = id;
}

static int ask_ffmpeg(const struct config *config, struct encoders *found, char **list,
                      struct error *err)
{
    const char *program = config->transcode.ffmpeg;
    TEXT(version) = NULL;
    TEXT(filters) = NULL;
    if (tool_ask(program, "-version", &version, err) < 0)
        return -1;
    if (!tool_parse_version(version, found->version))
        return error_set(err, ERROR_PERMANENT, 0, "cannot parse the output of '%s -version'",
                         program);
    if (tool_ask(program, "-encoders", list, err) < 0)
        return -1;
    if (tool_ask(program, "-filters", &filters, err) < 0)
        return -1;
    found->can_tone_map = strstr(filters, " zscale ") && strstr(filters, " tonemap ");
    return 0;
}

static int begin(const struct config *config, enum encoders_patience patience,
                 struct encoders *found, struct probes *probes, char **list, struct error *err)
{
    *found = (struct encoders){.working = 0};
    /* The key first: a change meanwhile invalidates the results. */
    encoders_key(config, found->key);
    check_devices(config, found);
    if (ask_ffmpeg(config, found, list, err) < 0)
        return -1;
    *probes = (struct probes){.config = config,
                              .found = found,
                              .list = *list,
                              .patience = patience,
                              .deadline_ms = mono_ms() + (patience == ENCODERS_LATE
                                                              ? ENCODERS_LATE_ALL_MS
                                                              : ENCODERS_SOON_ALL_MS)};
    for (size_t i = 0; i < ENCODER_KIND_COUNT; i++)
        probes->hung[i] = ENCODER_COUNT;
    return 0;
}

int encoders_probe(const struct config *config, enum encoders_patience patience,
                   struct encoders *found, struct error *err)
{
    struct probes probes;
    TEXT(list) = NULL;
    if (begin(config, patience, found, &probes, &list, err) < 0)
        return -1;
    for (enum encoder_id id = 0; id < ENCODER_COUNT; id++)
        probe_if_possible(&probes, id);
    return 0;
}

int encoders_probe_for_job(const struct config *config, encoder_set avoided, struct encoders *found,
                           struct error *err)
{
    struct probes probes;
    TEXT(list) = NULL;
    if (begin(config, ENCODERS_LATE, found, &probes, &list, err) < 0)
        return -1;
    enum tailslate_codec codec = encoder_wanted_codec(config->transcode.codec);
    encoder_set left = ENCODERS_ALL & ~avoided;
    while (!found->working) {
        enum encoder_id id = encoder_pick(codec, config->transcode.encoder, left);
        if (id == ENCODER_COUNT)
            break;
        left &= ~(1u << id);
        probe_if_possible(&probes, id);
    }
    return 0;
}

struct encoder_use encoders_choose(const struct config *config, const struct encoders *found,
                                   enum encoder_id failed)
{
    encoder_set working = found->working;
    /* A driver that failed for one codec is not trusted with another. */
    if (failed != ENCODER_COUNT)
        working &= ~encoder_set_of_kind(encoder_kind(failed));
    struct encoder_use use = {
        .id = encoder_pick(encoder_wanted_codec(config->transcode.codec), config->transcode.encoder,
                           working),
        .can_tone_map = found->can_tone_map,
    };
    memcpy(use.device, found->device, sizeof use.device);
    return use;
}
