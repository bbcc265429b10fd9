/* receiver: a peer to which a verifier of a test sends its events, as scripted. */
#ifndef SUPPORT_RECEIVER_H
#define SUPPORT_RECEIVER_H

#include "rig.h"

enum { RECEIVER_MS = 60 * 1000, RECEIVER_ID_BYTES = 64 };
#define RECEIVER_SECRET "the-webhook-secret-of-a-test"
#define RECEIVER_POST   "POST /hook"

/* Configures the rig's verifier for it, with short pauses. script: of peer.h. */
struct peer *receiver_start(struct rig *rig, const char *script);
void receiver_set_url(struct rig *rig, const struct peer *peer);
/* A header of a request; fails the test where it is absent. */
void receiver_header(const struct peer_request *request, const char *name, char *value,
                     size_t size);
/* The n-th event (from 0) that came: fails the test unless it is signed with this secret, and the
 * same ID stands in its head and its body. delivery: its ID. */
void receiver_check(struct peer *peer, int n, const char *secret, char delivery[RECEIVER_ID_BYTES]);

#endif
