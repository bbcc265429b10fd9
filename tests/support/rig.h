/* rig: a verifier, an agent and a scratch directory of one test, all real.
 *
 *     struct rig *rig = rig_new();
 *     rig_start_verifier(rig);
 *     int64_t job = rig_add_job(rig, media_clip(MEDIA_NORMAL), "video");
 *     rig_start_agent(rig);
 *     rig_wait_completed(rig, job);
 *     rig_end(rig);
 *
 * rig_end stops both as an operator would (SIGTERM) and fails the test unless they end well and no
 * sanitizer has spoken in any log. Without rig_end the test has failed: guard.h prints the logs.
 * Both programs are configured for tests (short waits, the fastest preset); rig_agent_set and
 * rig_verifier_set change a key before the next start. */
#ifndef SUPPORT_RIG_H
#define SUPPORT_RIG_H

#include "guard.h"
#include "peer.h"
#include "process.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SETTINGS_MAX = 40,
    RIG_ENV_MAX = 16,
    RIG_JOB_MS = 60 * 1000, /* a small job, with sanitizers, on a busy machine */
    RIG_START_MS = 20 * 1000,
};

struct setting {
    char group[32], name[32], value[PATH_BYTES]; /* the value as it stands in the file */
};
struct settings {
    struct setting entries[SETTINGS_MAX];
    size_t count;
};

struct rig {
    char dir[64];
    struct guard guard;
    struct settings agent_settings, verifier_settings;
    bool probes_by_ffmpeg;  /* although transcode.ffmpeg is a script (findings.h) */
    char *env[RIG_ENV_MAX]; /* of all programs started from now on */
    struct process *agent, *verifier;
    int agent_lives, verifier_lives; /* how often each was started: agent.1.log, agent.2.log … */
    int port;
    int front;         /* what workers by hand call instead of the verifier's port; 0: nothing */
    struct peer *peer; /* between the agent and the verifier; NULL: they talk directly */
    char worker_id[64];
};

struct rig *rig_new(void); /* worker "node" is registered; nothing runs */
void rig_end(struct rig *rig);

/* text: "transcode.original", "false". Strings carry their quotes: "\"ladder\"". */
void rig_agent_set(struct rig *rig, const char *key, const char *value);
void rig_verifier_set(struct rig *rig, const char *key, const char *value);
void rig_set_env(struct rig *rig, const char *name, const char *value);
char *rig_path(const struct rig *rig, const char *format, ...) /* below the scratch; owned */
    __attribute__((format(printf, 2, 3)));
/* An executable shell script in the scratch directory; the path is owned. */
char *rig_script(struct rig *rig, const char *name, const char *text);

struct peer *rig_put_peer_between(struct rig *rig); /* before the agent starts */
void rig_start_verifier(struct rig *rig);           /* after a stop: on the same port */
void rig_start_agent(struct rig *rig);
int64_t rig_begin(struct rig *rig, const char *video); /* both, and a job between them: "film" */
int rig_stop_verifier(struct rig *rig);                /* SIGTERM; the exit status */
int rig_stop_agent(struct rig *rig);
void rig_suspend_agent(struct rig *rig); /* SIGSTOP of this one process; returns once it stopped */
void rig_resume_agent(struct rig *rig);
void rig_kill_agent(struct rig *rig); /* kill -9 of this one process */
void rig_kill_node(struct rig *rig);  /* kill -9 of agent, steps and transcoders at once */

/* `tailslate-verifier -c … COMMAND…`, `tailslate-agent -c … COMMAND…`; NULL-terminated words. */
struct run rig_verifier(struct rig *rig, const char *const words[]);
struct run rig_agent(struct rig *rig, const char *const words[]);

int64_t rig_add_job(struct rig *rig, const char *video, const char *slug);
/* Adds a worker; its key goes into key. Returns the number that was printed. */
int64_t rig_add_worker(struct rig *rig, const char *name, char key[128]);

/* Wait for a line in the log of the agent that runs (of its steps too). */
void rig_expect(struct rig *rig, const char *words, int64_t timeout_ms, char line[LINE_BYTES]);
/* How many such lines there are in the logs of all lives of the agent. */
int rig_count_lines(const struct rig *rig, const char *words);

/* Wait for the agent's job.final of it. */
void rig_wait_final(struct rig *rig, int64_t job);
/* … and then look that the job is completed, once, with all its files, and the spool empty. */
void rig_wait_delivered(struct rig *rig, int64_t job);
/* … and that a strict player reads the video (player.h): wherever the ladder made it. */
void rig_wait_completed(struct rig *rig, int64_t job);

#endif
