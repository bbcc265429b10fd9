/* store_worker: workers, and what their heartbeats say. */
#ifndef VERIFIER_STORE_WORKER_H
#define VERIFIER_STORE_WORKER_H

#include "base/message.h"
#include "verifier/store/store.h"

struct json;
struct store_worker {
    int64_t id;
    char worker_id[WORKER_ID_BYTES], name[STORE_NAME_BYTES];
    char type[16], status[16]; /* `offline` where it is silent past the threshold */
    char registered_at[WALL_TEXT_BYTES], last_heartbeat[WALL_TEXT_BYTES];
    int64_t current_job_id; /* 0 = none */
    char *capabilities;     /* JSON or NULL; owned, only in lists */
    int64_t key_id;         /* of the key that it was found by; 0: by none */
};

/* api_key: shown once, only its hash is kept. */
struct store_registration {
    const char *name, *type, *capabilities, *metadata; /* NULL = absent */
    bool is_new_name; /* refused (DB_CONFLICT) where a worker that is not disabled has the name */
    int64_t id;       /* out */
    char worker_id[WORKER_ID_BYTES]; /* out */
    char api_key[64];                /* out */
};
int store_worker_register(struct store *store, struct store_registration *registration,
                          struct error *err);

int store_worker_list(struct store *store, struct store_worker **workers, size_t *count,
                      struct error *err);
struct json *store_worker_json(const struct store_worker *worker); /* owned; no capabilities */
/* How many there are in each state, also beyond what a list holds. */
enum { STORE_WORKER_STATES_MAX = 8 };
struct store_worker_state {
    char status[16];
    int64_t count;
};
int store_worker_count(struct store *store,
                       struct store_worker_state states[STORE_WORKER_STATES_MAX], size_t *count,
                       struct error *err);
void store_workers_free(struct store_worker *workers, size_t count);
/* Finds a worker by its number, its worker_id or its name. Of several with one name, the only one
 * that is not disabled. */
enum store_found { STORE_FOUND, STORE_FOUND_NONE, STORE_FOUND_SEVERAL };
struct store_found_worker {
    enum store_found result;
    int64_t id, claims; /* claims: how many jobs it holds */
    char worker_id[WORKER_ID_BYTES], name[STORE_NAME_BYTES], status[16];
};
int store_worker_find(struct store *store, const char *worker, struct store_found_worker *found,
                      struct error *err);
/* worker: its worker_id, or its number. *found false: no such worker. */
int store_worker_revoke(struct store *store, const char *worker, bool *found, struct error *err);

/* Is this code_version ("": none was reported) accepted? */
bool store_version_fits(struct store *store, const char *code_version);
/* "": any. */
void store_required_version(struct store *store, char version[CODE_VERSION_BYTES]);
int store_heartbeat(struct store *store, struct store_worker *worker,
                    const struct message_heartbeat *heartbeat, struct error *err);

#endif
