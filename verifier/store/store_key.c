/* Workers' keys: made, found by what a caller presents, replaced. */
#include "verifier/store/store_key.h"

#include "base/log.h"
#include "lib/hash.h"
#include "lib/uuid.h"
#include "verifier/store/key_memory.h"
#include "verifier/store/keys.h"
#include "verifier/store/store_private.h"

#include <string.h>

enum { KEY_RANDOM_BYTES = 32, KEY_PREFIX_LENGTH = 8 };

/* 256 random bits, URL-safe base64 without padding: 43 characters. */
void store_make_key(char key[64])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char random[KEY_RANDOM_BYTES + 1] = {0};
    random_bytes(random, KEY_RANDOM_BYTES);
    size_t length = 0;
    for (size_t bit = 0; bit < KEY_RANDOM_BYTES * 8; bit += 6) {
        unsigned pair = (unsigned)random[bit / 8] << 8 | random[bit / 8 + 1];
        key[length++] = digits[pair >> (10 - bit % 8) & 63];
    }
    key[length] = '\0';
    explicit_bzero(random, sizeof random);
}

static void prefix_of(const char *key, char prefix[KEY_PREFIX_LENGTH + 1])
{
    snprintf(prefix, KEY_PREFIX_LENGTH + 1, "%.*s", KEY_PREFIX_LENGTH, key);
}

int store_add_key(struct db *db, int64_t worker, const char *api_key, const char *now,
                  struct error *err)
{
    char hash[HASH_HEX_BYTES], prefix[KEY_PREFIX_LENGTH + 1];
    hash_bytes(api_key, strlen(api_key), hash);
    prefix_of(api_key, prefix);
    return db_run(
        db, NULL, err,
        "INSERT INTO worker_api_keys (worker_id, key_hash, hash_version, key_prefix,"
        " created_at) VALUES ($1, $2, $3, $4, $5)",
        DB_ARGS(db_int(worker), db_text(hash), db_int(KEYS_SHA256), db_text(prefix), db_text(now)));
}

/* Keys with the same first characters: by chance there is one; whoever can write rows gets no more
 * than this verified. */
enum { CANDIDATES_MAX = 8 };

struct candidate {
    struct store_worker worker;
    int64_t key_id, hash_version;
    char hash[256];
    bool is_over; /* revoked or expired */
    bool ends_soon;
};

struct key_lookup {
    const struct store *store;
    const char *api_key;
    struct candidate candidates[CANDIDATES_MAX];
    size_t count;
};

/* Columns 8 to 13: the key's id, its hash and that one's version, revoked when, expires when, now.
 */
static void candidate_from_row(const struct store *store, struct db_rows *rows,
                               struct candidate *candidate)
{
    char now[WALL_TEXT_BYTES], soon[WALL_TEXT_BYTES];
    const char *expires = db_get_text(rows, 12);
    store_now_from(store, rows, 13, now);
    store_time_add(now, KEY_MEMORY_MS, soon);
    store_worker_from_row(rows, &candidate->worker);
    candidate->key_id = db_get_int(rows, 8);
    db_copy_text(rows, 9, candidate->hash, sizeof candidate->hash);
    candidate->hash_version = db_get_int(rows, 10);
    candidate->is_over = !db_is_null(rows, 11) || (expires && strcmp(expires, now) < 0);
    candidate->ends_soon = expires && strcmp(expires, soon) < 0;
}

static void read_candidate(struct db_step *step, struct db_rows *rows)
{
    struct key_lookup *lookup = step->ctx;
    lookup->count = (size_t)step->rows + 1;
    candidate_from_row(lookup->store, rows, &lookup->candidates[step->rows]);
}

static int find_keys(struct store *store, struct key_lookup *lookup, struct error *err)
{
    char prefix[KEY_PREFIX_LENGTH + 1];
    prefix_of(lookup->api_key, prefix);
    struct db_step step = {
        .sql = STORE_WORKER_COLUMNS
        ", k.id, k.key_hash, k.hash_version, k.revoked_at, k.expires_at," DB_CLOCK
        " FROM worker_api_keys k JOIN workers w ON w.id = k.worker_id"
        " WHERE k.key_prefix = $1 ORDER BY"
        " CASE WHEN k.revoked_at IS NULL THEN 0 ELSE 1 END, k.hash_version,"
        " k.id DESC LIMIT $2",
        DB_ARGS(db_text(prefix), db_int(CANDIDATES_MAX)),
        .row = read_candidate,
        .ctx = lookup};
    lookup->count = 0;
    return store_read(store, &step, 1, err);
}

struct key_result {
    enum keys_match match;
    enum store_key found;
    bool ends_soon;
    struct store_worker *worker;
};

static enum store_key found_by(const struct candidate *candidate)
{
    if (candidate->is_over)
        return STORE_KEY_OVER;
    return strcmp(candidate->worker.status, "disabled") == 0 ? STORE_KEY_DISABLED : STORE_KEY_GOOD;
}

/* KEYS_SAME with the worker; else why the last candidate could not be matched. */
static void match_keys(struct store *store, const struct key_lookup *lookup,
                       enum keys_effort effort, struct key_result *result)
{
    result->match = KEYS_DIFFERENT;
    result->found = STORE_KEY_UNKNOWN;
    for (size_t i = 0; i < lookup->count; i++) {
        const struct candidate *candidate = &lookup->candidates[i];
        /* A key that was revoked or has expired is not worth a slow verification. */
        enum keys_match match = keys_check(store->keys, lookup->api_key, candidate->hash_version,
                                           candidate->hash,
                                           candidate->is_over ? KEYS_NO_WORK : effort, mono_ms());
        if (match == KEYS_UNREADABLE)
            log_warning("key.unreadable", LOG_INT("key", candidate->key_id),
                        LOG_INT("hash_version", candidate->hash_version),
                        LOG_TEXT("worker", candidate->worker.worker_id));
        if (match == KEYS_DIFFERENT || match == KEYS_UNREADABLE ||
            (match != KEYS_SAME && candidate->is_over))
            continue;
        result->match = match;
        if (match != KEYS_SAME)
            continue;
        *result->worker = candidate->worker;
        result->worker->key_id = candidate->key_id;
        result->found = found_by(candidate);
        result->ends_soon = candidate->ends_soon;
        return;
    }
}

/* The slow verification runs outside of any transaction and without a connection of the pool. */
static int verify_slowly(struct store *store, struct key_lookup *lookup, struct key_result *result,
                         struct error *err)
{
    match_keys(store, lookup, KEYS_ANY_EFFORT, result);
    if (result->match == KEYS_SAME) {
        /* It took its time: the key may have been revoked since it was read. */
        if (find_keys(store, lookup, err) != 0)
            return -1;
        match_keys(store, lookup, KEYS_NO_WORK, result);
    }
    if (result->match == KEYS_BUSY || result->match == KEYS_NOT_TRIED)
        return error_set(err, ERROR_TEMPORARY, DB_BUSY,
                         "too many API keys are being verified at once");
    return 0;
}

/* Keys are printable ASCII; a database may refuse a query with anything else. */
static bool may_be_a_key(const char *text)
{
    size_t length = strlen(text);
    if (length < KEY_PREFIX_LENGTH || length > KEYS_KEY_MAX_BYTES)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static int worker_by_key(struct store *store, const char *api_key, enum keys_effort effort,
                         enum store_key *found, struct store_worker *worker, struct error *err)
{
    struct key_lookup lookup = {.store = store, .api_key = api_key};
    struct key_result result = {.worker = worker};
    struct key_question question;
    *found = STORE_KEY_UNKNOWN;
    if (!may_be_a_key(api_key))
        return 0;
    *found = STORE_KEY_GOOD;
    if (key_memory_find(store->key_memory, store->keys, api_key, mono_ms(), &question, worker))
        return 0;
    if (find_keys(store, &lookup, err) != 0)
        return -1;
    match_keys(store, &lookup, KEYS_NO_WORK, &result);
    if (result.match == KEYS_NOT_TRIED && effort == KEYS_ANY_EFFORT &&
        verify_slowly(store, &lookup, &result, err) != 0)
        return -1;
    *found = result.found;
    if (*found == STORE_KEY_GOOD && !result.ends_soon)
        key_memory_keep(store->key_memory, &question, worker);
    return 0;
}

int store_worker_by_key(struct store *store, const char *api_key, enum store_key *found,
                        struct store_worker *worker, struct error *err)
{
    return worker_by_key(store, api_key, KEYS_ANY_EFFORT, found, worker, err);
}

int store_worker_by_known_key(struct store *store, const char *api_key, enum store_key *found,
                              struct store_worker *worker, struct error *err)
{
    return worker_by_key(store, api_key, KEYS_NO_WORK, found, worker, err);
}

static int find_worker(struct db *db, struct store_rotation *rotation, struct error *err)
{
    struct store_found_worker found;
    if (store_find_worker(db, rotation->worker, &found, err) != 0)
        return -1;
    rotation->id = found.id;
    memcpy(rotation->worker_id, found.worker_id, sizeof rotation->worker_id);
    memcpy(rotation->name, found.name, sizeof rotation->name);
    switch (found.result) {
    case STORE_FOUND:
        rotation->result = strcmp(found.status, "disabled") == 0 ? STORE_ROTATE_DISABLED
                                                                 : STORE_ROTATED;
        return 0;
    case STORE_FOUND_NONE:
        rotation->result = STORE_ROTATE_NO_WORKER;
        return 0;
    case STORE_FOUND_SEVERAL:
        rotation->result = STORE_ROTATE_SEVERAL;
        return 0;
    }
    return error_set(err, ERROR_BUG, 0, "find_worker");
}

static int replace_keys(struct db *db, const char *now, struct store_rotation *rotation,
                        struct error *err)
{
    store_time_add(now, rotation->overlap_ms, rotation->old_until);
    /* A key that ends earlier by itself, or is revoked, gains nothing by this. */
    if (db_run(db, NULL, err,
               "UPDATE worker_api_keys SET expires_at = $2 WHERE worker_id = $1"
               " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
               DB_ARGS(db_int(rotation->id), db_text(rotation->old_until))) != 0)
        return -1;
    return store_add_key(db, rotation->id, rotation->api_key, now, err);
}

int store_worker_rotate(struct store *store, struct store_rotation *rotation, struct error *err)
{
    store_make_key(rotation->api_key);
    char now[WALL_TEXT_BYTES];
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || store_now(store, tx.db, now, err) != 0 ||
        find_worker(tx.db, rotation, err) != 0)
        return -1;
    if (rotation->result != STORE_ROTATED)
        return 0;
    if (replace_keys(tx.db, now, rotation, err) != 0)
        return -1;
    int done = store_commit(&tx, err);
    key_memory_forget(store->key_memory); /* whatever became of it */
    return done;
}
