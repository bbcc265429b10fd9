/* config: the agent's configuration, as a table that is also its documentation.
 *
 * Defaults, ranges and help texts are in config.c's table; agent.cfg.sample is printed from it, and
 * a test proves that they are equal. Every key can be overridden by TAILSLATE_<GROUP>_<KEY>. An
 * invalid value is refused with file:line (base/config.h); agent_config_load also refuses invalid
 * combinations (a command recipe without a command, a cap below its base). */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "base/config.h"
#include "base/finding.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct config {
    struct {
        char url[CONFIG_TEXT_BYTES];
        char api_key_file[CONFIG_TEXT_BYTES];
        char ca_file[CONFIG_TEXT_BYTES], cert_file[CONFIG_TEXT_BYTES], key_file[CONFIG_TEXT_BYTES];
    } server;
    struct {
        char name[CONFIG_TEXT_BYTES]; /* never empty after agent_config_load: defaults to the host
                                         name */
        char state_dir[CONFIG_TEXT_BYTES];
        int64_t slots;
        double min_free_disk_gb;
    } node;
    struct {
        double poll_seconds, wait_seconds;
    } claim;
    struct {
        double interval_seconds;
        char code_version[CONFIG_TEXT_BYTES]; /* "" = report none */
    } heartbeat;
    struct {
        double base_seconds, cap_seconds, rate_per_second;
        double hold_days; /* 0 = no limit */
    } retry;
    struct {
        char recipe[CONFIG_TEXT_BYTES];  /* "ladder" | "command" */
        char command[CONFIG_TEXT_BYTES]; /* argv template: split at whitespace, quotes group, no
                                            shell */
        char preset[CONFIG_TEXT_BYTES];
        double segment_seconds, max_fps;
        bool original, accept_truncated;
        double stall_seconds;
        char ffmpeg[CONFIG_TEXT_BYTES], ffprobe[CONFIG_TEXT_BYTES];
        int64_t threads, nice;
        char codec[CONFIG_TEXT_BYTES];   /* "auto" | "h264" | "hevc" | "av1" */
        char encoder[CONFIG_TEXT_BYTES]; /* "auto" | "cpu" | "nvenc" | "qsv" | "vaapi" */
        char device[CONFIG_TEXT_BYTES]; /* the render node; "" = the first one that can be opened */
        bool network;
    } transcode;
    struct {
        double wall_factor, wall_floor_minutes, memory_gb, output_factor, unsized_source_gb;
        char io[CONFIG_TEXT_BYTES]; /* "low" | "normal" */
        int64_t open_files;
    } limits;
    struct {
        char address[CONFIG_TEXT_BYTES];
        int64_t port; /* 0 = off */
    } health;
    struct {
        char level[CONFIG_TEXT_BYTES], format[CONFIG_TEXT_BYTES];
    } log;
};

#define AGENT_CONFIG_PATH "/etc/tailslate/agent.cfg"

/* path NULL: defaults and environment only. All or nothing. */
int agent_config_load(const char *path, struct config *config, struct error *err);
/* The same, but accepts values that contradict each other: agent_config_judge finds those. */
int agent_config_read(const char *path, struct config *config, struct error *err);
void agent_config_judge(const struct config *config, struct findings *findings);
void agent_config_print(const struct config *config, FILE *out); /* the effective configuration */
void agent_config_print_sample(FILE *out);                       /* prints agent.cfg.sample */

#endif
