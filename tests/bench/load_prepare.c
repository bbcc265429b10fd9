/* Jobs to complete: added, claimed, and each with a tiny rendition in its place. */
#include "base/clock.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/uuid.h"
#include "load.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAUSE_MIN_MS = 10, PAUSE_SPREAD_MS = 90 };

extern char **environ;

void load_pause(void)
{
    poll(NULL, 0, PAUSE_MIN_MS + (int)(random_u64() % PAUSE_SPREAD_MS));
}

bool load_is_for_later(struct load *load, enum http_result result, int status)
{
    if (result == HTTP_REFUSED)
        atomic_fetch_add(&load->tally.refused, 1);
    else if (result == HTTP_RESET)
        atomic_fetch_add(&load->tally.resets, 1);
    else if (status == 503 || status == 429)
        atomic_fetch_add(&load->tally.unavailable, 1);
    else
        return false;
    atomic_fetch_add(&load->tally.retries, 1);
    return true;
}

bool load_insist(struct load *load, struct http_client *client, int server, const char *path,
                 const char *headers, const void *body, size_t size)
{
    int64_t until_ms = mono_ms() + load->settings.deadline_s * 1000;
    for (;; server = (server + 1) % load->settings.server_count) {
        enum http_result result = http_call(client, server, path, headers, body, size);
        if (!load_is_for_later(load, result, client->status))
            return true;
        if (mono_ms() > until_ms)
            return false;
        load_pause();
    }
}

static void add_jobs(const struct settings *settings)
{
    for (int64_t i = 0; i < settings->jobs; i++) {
        /* A name of its own: to find a free one among a thousand takes its time. */
        TEXT(slug) = must_printf("load-%lld-%lld", (long long)getpid(), (long long)i);
        const char *const argv[] = {settings->verifier,
                                    "-c",
                                    settings->config,
                                    "job",
                                    "add",
                                    settings->source,
                                    "--slug",
                                    slug,
                                    NULL};
        posix_spawn_file_actions_t actions;
        pid_t pid;
        int status;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        must(posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ) ==
             0);
        posix_spawn_file_actions_destroy(&actions);
        must(waitpid(pid, &status, 0) == pid);
        if (status != 0) {
            fprintf(stderr, "load: job add failed\n");
            exit(1);
        }
    }
}

static bool claim(struct load *load, struct http_client *client, struct presented *presented)
{
    if (!load_insist(load, client, (int)(presented - load->jobs) % load->settings.server_count,
                     "/api/worker/claim", "", "", 0) ||
        client->status != 200 || !job_take(&presented->job, client->answer))
        return false;
    must(pthread_mutex_init(&presented->lock, NULL) == 0);
    return true;
}

static bool put(struct load *load, struct http_client *client, const struct job *job,
                const char *name, const char *data, size_t size)
{
    TEXT(path) = segment_path(job, name);
    TEXT(headers) = segment_headers(job, data, size);
    return load_insist(load, client, (int)(job->id % load->settings.server_count), path, headers,
                       data, size) &&
           client->status == 200;
}

static bool put_rendition(struct load *load, struct http_client *client, const struct job *job)
{
    static const char box[] = "\0\0\0\x18moof0123456789";
    static const char list[] = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI=\"init.mp4\"\n"
                               "#EXTINF:6,\nseg_0000.m4s\n#EXT-X-ENDLIST\n";
    return put(load, client, job, "init.mp4", box, sizeof box - 1) &&
           put(load, client, job, "seg_0000.m4s", box, sizeof box - 1) &&
           put(load, client, job, "stream.m3u8", list, sizeof list - 1);
}

bool load_prepare(struct load *load)
{
    if (load->settings.verifier)
        add_jobs(&load->settings);
    struct http_client *client = must_malloc(sizeof *client);
    http_client_init(client, load->settings.servers, load->settings.key);
    load->jobs = must_calloc((unsigned long)load->settings.jobs, sizeof *load->jobs);
    bool is_well = true;
    while (is_well && load->job_count < load->settings.jobs) {
        struct presented *presented = &load->jobs[load->job_count];
        if (!claim(load, client, presented))
            break; /* fewer than were asked for: an answer to a claim was lost, or none are left */
        load->job_count++;
        is_well = put_rendition(load, client, &presented->job);
    }
    if (!is_well || load->job_count == 0)
        fprintf(stderr, "load: %lld jobs, then: %d %s\n", (long long)load->job_count,
                client->status, client->answer);
    http_client_fini(client);
    free(client);
    return is_well && load->job_count > 0;
}
