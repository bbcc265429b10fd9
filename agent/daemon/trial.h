/* trial: the agent's knowledge of its encoders (encoders.h), kept fresh in the background.
 *
 * After the first heartbeat and once ffmpeg has said its version, what was found before is taken up
 * if it still holds; if not, a child of the same program (`tailslate-agent trial`) finds out and
 * writes it down, at the transcoder's nice. Looked at again every TRIAL_LOOK_MS, which costs a
 * stat: an ffmpeg that was upgraded, a device that came or went, is noticed. Where no encoder makes
 * the codec that is wanted, nothing is claimed, and it is tried again. Delays no heartbeat and no
 * claim: a step that finds no findings tries what it needs by itself. */
#ifndef AGENT_TRIAL_H
#define AGENT_TRIAL_H

#include "agent/daemon/heartbeat.h"
#include "agent/daemon/node.h"
#include "agent/media/encoders.h"

enum {
    TRIAL_LOOK_MS = 60 * 1000,
    TRIAL_AGAIN_MS = 5 * 60 * 1000, /* where it found nothing of use, or ran out of time */
    TRIAL_LIMIT_MS = 180 * 1000,    /* of the child; its own limits end it earlier */
};

struct trial {
    struct node *node;
    struct heartbeat *heartbeat; /* says what was found */
    struct encoders found;
    enum encoder_id chosen; /* as last logged */
    bool is_known;
    pid_t pid;
    int pidfd; /* -1: no child runs */
    int64_t due_ms, limit_ms;
};

void trial_init(struct trial *trial, struct node *node, struct heartbeat *heartbeat);
int64_t trial_tick(struct trial *trial, int64_t now_ms);
/* The configuration has changed: what is known is applied to it at once; what no longer holds (of
 * another ffmpeg) is found out anew. */
void trial_renew(struct trial *trial);
/* fd has become readable. False: it is none of ours. */
bool trial_handle(struct trial *trial, int fd);
bool trial_handle_pid(struct trial *trial, pid_t pid);
void trial_cancel(struct trial *trial);

/* The child: finds out, writes down. Its exit status: EX_UNAVAILABLE where ffmpeg does not run. */
int trial_main(const struct config *config);

#endif
