/* The database as one JSON document, read past the programs: a member for each table. */
#include "fleet.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <string.h>

static const char *const tables[][2] = {
    {"videos", "id slug status published_at error_message"},
    {"video_qualities", "video_id quality"},
    {"workers", "worker_id worker_name"},
    {"transcoding_jobs", "id video_id worker_id completed_at claimed_at last_error"},
    {"job_epochs", "job_id claim_epoch"},
    {"job_queue", "job_id cancelled"},
    {"completions", "job_id claim_epoch token worker_id committed_at"},
    {"failures", "job_id claim_epoch worker_id error_message will_retry"},
    {"sweeps", "swept_at outcome released"},
};

static char *rows_of(const struct fleet *fleet, const char *table, const char *columns)
{
    bool is_sqlite = !fleet->database_url;
    /* JSON in a column of text is a value here, no string. */
    const char *before = is_sqlite ? "json(" : "CAST(", *after = is_sqlite ? ")" : " AS json)";
    char members[512];
    size_t used = 0;
    for (const char *at = columns; *at; at += strcspn(at, " "), at += *at == ' ') {
        int size = (int)strcspn(at, " ");
        bool is_json = strncmp(at, "released", (size_t)size) == 0;
        used += (size_t)snprintf(members + used, sizeof members - used, "%s'%.*s', %s%.*s%s",
                                 used ? ", " : "", size, at, is_json ? before : "", size, at,
                                 is_json ? after : "");
        must(used < sizeof members);
    }
    TEXT(sql) = must_printf("SELECT %s(%s(%s)) FROM %s",
                            is_sqlite ? "json_group_array" : "json_agg",
                            is_sqlite ? "json_object" : "json_build_object", members, table);
    char *rows = fleet_ask(fleet, sql);
    return *rows ? rows : (free(rows), must_strdup("[]"));
}

/* What the gate has left in Redis by now: the keys of tokens and their values. */
void fleet_note_gate(const struct fleet *fleet)
{
    static const char script[] =
        "local rows = {} for _, key in ipairs(redis.call('KEYS', 'vlog:completion_token:*')) do "
        "rows[#rows + 1] = cjson.encode({key = key, value = redis.call('GET', key) or ''}) end "
        "return '[' .. table.concat(rows, ', ') .. ']'";
    struct error ignored;
    if (!fleet->redis)
        return;
    TEXT(rows) = redis_ask(fleet->redis, "EVAL", script, "0", NULL);
    struct json *line = history_line("gate");
    json_set(line, "rows", json_parse(rows, strlen(rows), &ignored));
    history_write(fleet->history, line);
}

void fleet_dump(const struct fleet *fleet, const char *path)
{
    STREAM(file) = fopen(path, "we");
    must(file);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        TEXT(rows) = rows_of(fleet, tables[i][0], tables[i][1]);
        fprintf(file, "%s\"%s\": %s", i ? ",\n" : "{", tables[i][0], rows);
    }
    must(fprintf(file, "}\n") > 0);
}
