#include "verifier/store/store_directories.h"

#include "verifier/store/store_private.h"

static int read_marker(struct db *db, const char *name, char marker[TAILSLATE_UUID_BYTES],
                       struct error *err)
{
    marker[0] = '\0';
    DB_ROWS(rows) = db_query(db, "SELECT marker FROM directories WHERE name = $1",
                             DB_ARGS(db_text(name)), err);
    int got = rows ? db_next(rows, err) : -1;
    if (got == 1)
        db_copy_text(rows, 0, marker, TAILSLATE_UUID_BYTES);
    return got < 0 ? -1 : 0;
}

int store_directory_marker(struct store *store, const char *name, char marker[TAILSLATE_UUID_BYTES],
                           struct error *err)
{
    TRANSACTION(tx);
    if (store_begin_reading(store, &tx, err) != 0)
        return -1;
    return read_marker(tx.db, name, marker, err);
}

/* The row is ours until the transaction ends: of two verifiers that start at once one waits here.
 */
static int take_row(struct db *db, struct store_adoption *adoption, struct error *err)
{
    int64_t inserted = 0;
    uuid_make_v4(adoption->marker);
    if (db_run(db, &inserted, err,
               "INSERT INTO directories (name, marker) VALUES ($1, $2)"
               " ON CONFLICT (name) DO NOTHING",
               DB_ARGS(db_text(adoption->name), db_text(adoption->marker))) != 0)
        return -1;
    adoption->adopted = inserted == 1 || adoption->again;
    return 0;
}

static int write_row(struct db *db, struct store_adoption *adoption, struct error *err)
{
    if (db_one_int(db, &adoption->jobs, err, "SELECT COUNT(*) FROM transcoding_jobs", DB_NO_ARGS) !=
            1 ||
        adoption->bring(adoption->ctx, adoption->marker, err) != 0)
        return -1;
    return db_run(db, NULL, err, "UPDATE directories SET marker = $2 WHERE name = $1",
                  DB_ARGS(db_text(adoption->name), db_text(adoption->marker)));
}

int store_directory_adopt(struct store *store, struct store_adoption *adoption, struct error *err)
{
    TRANSACTION(tx);
    if (store_begin(store, &tx, err) != 0 || take_row(tx.db, adoption, err) != 0)
        return -1;
    if (!adoption->adopted)
        return read_marker(tx.db, adoption->name, adoption->marker, err);
    return write_row(tx.db, adoption, err) == 0 ? store_commit(&tx, err) : -1;
}
