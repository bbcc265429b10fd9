/* store_key: the API keys of workers: whose key is this, and a new one for a worker. */
#ifndef VERIFIER_STORE_KEY_H
#define VERIFIER_STORE_KEY_H

#include "verifier/store/store_worker.h"

enum store_key {
    STORE_KEY_UNKNOWN,
    STORE_KEY_GOOD,
    STORE_KEY_DISABLED, /* its worker is disabled */
    STORE_KEY_OVER,     /* it was revoked, or has expired */
};

int store_worker_by_key(struct store *store, const char *api_key, enum store_key *found,
                        struct store_worker *worker, struct error *err);
/* The same without argon2id's cost: a stock server's key counts only where it was right within the
 * last minute, else it is unknown. */
int store_worker_by_known_key(struct store *store, const char *api_key, enum store_key *found,
                              struct store_worker *worker, struct error *err);

/* A new key for a worker, which stays who it is; its other keys end after overlap_ms, if they do
 * not end before. */
enum store_rotated {
    STORE_ROTATED,
    STORE_ROTATE_NO_WORKER,
    STORE_ROTATE_SEVERAL, /* have this name */
    STORE_ROTATE_DISABLED,
};
struct store_rotation {
    const char *worker; /* its number, its worker_id or its name */
    int64_t overlap_ms;
    enum store_rotated result; /* out, as all that follows */
    int64_t id;
    char worker_id[WORKER_ID_BYTES], name[STORE_NAME_BYTES];
    char api_key[64];
    char old_until[WALL_TEXT_BYTES];
};
int store_worker_rotate(struct store *store, struct store_rotation *rotation, struct error *err);

#endif
