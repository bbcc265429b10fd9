/* The house rules that a compiler does not check, over every source file of the four rooms. A new
 * module gets a line in the table below; a file of an unknown module is a failure that names it. */

#include "scratch.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>

/* An include points down or sideways. A header may lie deeper than its body: it is plain data and
 * declarations that a pure module can use, where the body talks to files or to the network.
 * Parts of a module (message_progress.c, json_scan.h) follow the name before the underscore. */
enum purity { IMPURE, PURE };

static const struct module {
    const char *name;
    int header, body;
    enum purity purity;
} modules[] = {
    {"common/error", 0, 0, IMPURE},      {"common/log", 0, 0, IMPURE},
    {"common/cleanup", 0, 0, IMPURE},    {"common/crash", 0, 0, IMPURE},
    {"common/fault", 0, 0, IMPURE},

    {"common/clock", 1, 1, IMPURE},      {"common/durable", 1, 1, IMPURE},
    {"common/hash", 1, 1, IMPURE},       {"common/config", 1, 1, IMPURE},
    {"common/cli", 1, 1, IMPURE},        {"common/metrics", 1, 1, IMPURE},
    {"common/json", 1, 1, IMPURE},       {"common/uuid", 1, 1, IMPURE},
    {"common/archive", 1, 1, IMPURE},    {"common/notify", 1, 1, IMPURE},

    {"common/token", 1, 1, PURE}, /* it needs nothing, and uuid is made of its form */
    {"common/completion", 2, 2, PURE},   {"common/message", 2, 2, PURE},
    {"common/warnings", 2, 2, PURE},     {"common/backoff", 2, 2, PURE},
    {"common/quality", 2, 2, PURE},      {"common/playlist", 2, 2, PURE},
    {"common/problem", 2, 2, PURE},      {"common/answer", 2, 2, PURE},

    {"agent/config", 1, 1, IMPURE},      {"agent/job", 2, 2, PURE},
    {"agent/encoder", 2, 2, PURE},       {"agent/bounds", 2, 2, PURE},
    {"agent/ladder", 2, 2, PURE},        {"agent/filter", 2, 2, PURE},
    {"agent/argv", 2, 2, PURE},          {"agent/audio", 2, 2, PURE},
    {"agent/box", 2, 2, PURE},           {"agent/codecs", 2, 2, PURE},
    {"agent/fragment", 2, 2, PURE},      {"agent/rates", 2, 2, PURE},
    {"agent/manifest", 2, 2, PURE},      {"agent/delivery", 2, 2, PURE},
    {"agent/probe", 2, 4, IMPURE},    /* the header is what a film is */
    {"agent/progress", 2, 3, IMPURE}, /* the header is how far a transcode is */
    {"agent/http", 2, 3, IMPURE},     /* the header is what an answer is */
    {"agent/sandbox", 3, 3, IMPURE},     {"agent/child", 3, 3, IMPURE},
    {"agent/connect", 3, 3, IMPURE},     {"agent/record", 3, 3, IMPURE},
    {"agent/order", 3, 3, IMPURE},       {"agent/kept", 4, 4, IMPURE},
    {"agent/plain", 3, 3, IMPURE},       {"agent/spool", 3, 3, IMPURE},
    {"agent/tree", 3, 3, IMPURE},        {"agent/tool", 3, 3, IMPURE},
    {"agent/gpu", 3, 3, IMPURE},         {"agent/resources", 3, 3, IMPURE},
    {"agent/encoders", 3, 3, IMPURE},    {"agent/reason", 3, 3, IMPURE},
    {"agent/scan", 2, 4, IMPURE},   /* the header is what its packets say of a film */
    {"agent/source", 2, 4, IMPURE}, /* the header is what is decided by that */
    {"agent/audio_trial", 4, 4, IMPURE}, {"agent/check", 4, 4, IMPURE},
    {"agent/separate", 4, 4, IMPURE},    {"agent/truth", 4, 4, IMPURE},
    {"agent/target", 4, 4, IMPURE},      {"agent/claim", 4, 4, IMPURE},
    {"agent/reclaim", 4, 4, IMPURE},     {"agent/command", 4, 4, IMPURE},
    {"agent/copy_trial", 4, 4, IMPURE},  {"agent/courier", 4, 4, IMPURE},
    {"agent/disk", 4, 4, IMPURE},        {"agent/existing", 4, 4, IMPURE},
    {"agent/fetch", 4, 4, IMPURE},       {"agent/health", 4, 4, IMPURE},
    {"agent/heartbeat", 4, 4, IMPURE},   {"agent/make", 4, 4, IMPURE},
    {"agent/node", 4, 4, IMPURE},        {"agent/obey", 4, 4, IMPURE},
    {"agent/outcome", 4, 4, IMPURE},     {"agent/retire", 4, 4, IMPURE},
    {"agent/trial", 4, 4, IMPURE},       {"agent/version", 4, 4, IMPURE},
    {"agent/session", 4, 4, IMPURE},     {"agent/status", 4, 4, IMPURE},
    {"agent/space", 4, 4, IMPURE},       {"agent/step", 4, 4, IMPURE},
    {"agent/steps", 4, 4, IMPURE},       {"agent/transcode", 4, 4, IMPURE},
    {"agent/upload", 4, 4, IMPURE},      {"agent/agent", 5, 5, IMPURE},
    {"agent/doctor", 5, 5, IMPURE},      {"agent/show", 5, 5, IMPURE},
    {"agent/fsck", 5, 5, IMPURE},        {"agent/operate", 5, 5, IMPURE},
    {"agent/picture", 5, 5, IMPURE},     {"agent/view", 5, 5, IMPURE},
    {"agent/watch", 5, 5, IMPURE},       {"agent/main", 6, 6, IMPURE},

    {"verifier/verify", 2, 2, PURE},     {"verifier/ledger", 3, 3, IMPURE},
    {"verifier/segment", 2, 2, PURE},    {"verifier/complete", 4, 4, IMPURE},
    {"verifier/deadline", 1, 1, IMPURE}, {"verifier/grace", 2, 2, PURE},
    {"verifier/slug", 2, 2, PURE},       {"verifier/range", 2, 2, PURE},
    {"verifier/config", 2, 2, IMPURE},   {"verifier/address", 2, 2, PURE},
    {"verifier/bell", 3, 3, IMPURE},     {"verifier/counters", 3, 3, IMPURE},
    {"verifier/limiter", 3, 3, IMPURE},  {"verifier/tls", 3, 3, IMPURE},
    {"verifier/traffic", 3, 3, IMPURE},  {"verifier/connections", 3, 3, IMPURE},
    {"verifier/db", 3, 3, IMPURE},       {"verifier/files", 3, 3, IMPURE},
    {"verifier/gate", 3, 3, IMPURE},     {"verifier/keys", 3, 3, IMPURE},
    {"verifier/replays", 3, 3, IMPURE},  {"verifier/socket", 3, 3, IMPURE},
    {"verifier/store", 3, 3, IMPURE},    {"verifier/table", 3, 3, IMPURE},
    {"verifier/upload", 3, 3, IMPURE},   {"verifier/answer", 4, 4, IMPURE},
    {"verifier/auth", 4, 4, IMPURE},     {"verifier/body", 4, 4, IMPURE},
    {"verifier/context", 4, 4, IMPURE},  {"verifier/job_print", 4, 4, IMPURE},
    {"verifier/key_file", 4, 4, IMPURE}, {"verifier/status_print", 4, 4, IMPURE},
    {"verifier/exchange", 4, 4, IMPURE}, {"verifier/page", 4, 4, IMPURE},
    {"verifier/pulse", 4, 4, IMPURE},    {"verifier/request", 4, 4, IMPURE},
    {"verifier/routes", 4, 4, IMPURE},   {"verifier/sweeper", 4, 4, IMPURE},
    {"verifier/orphans", 4, 4, IMPURE},  {"verifier/server", 5, 5, IMPURE},
    {"verifier/verb", 6, 6, IMPURE},     {"verifier/verbs", 6, 6, IMPURE},
    {"verifier/main", 6, 6, IMPURE},
};

/* A library of somebody else stands in one file (one a backend). Include beginning -> files. */
static const struct {
    const char *include, *files;
} libraries[] = {
    {"cjson/", "common/json.c"},
    {"uuid/", "common/uuid.c"},
    {"libconfig", "common/config.c"},
    {"openssl/", "common/hash.c verifier/gate/gate_tls.c"},
    {"archive.h", "common/archive.c"},
    {"archive_entry.h", "common/archive.c"},
    {"curl/", "agent/server/http.c"},
    {"sqlite3", "verifier/store/db_sqlite.c"},
    {"libpq-fe.h", "verifier/store/db_postgres.c verifier/store/db_postgres_connect.c"},
    {"hiredis/", "verifier/gate/gate_redis.c"},
    {"argon2.h", "verifier/store/keys.c"},
    {"gnutls/", "verifier/http/tls.c"},
    {"microhttpd", "verifier/http/server.c agent/look/health.c"},
};

/* What makes a module depend on more than its parameters. */
static const struct {
    const char *include;
    const char *exception; /* the module that may: message takes the length of a time's text */
} impure_includes[] = {
    {"tailslate/log.h", NULL},
    {"tailslate/clock.h", "common/message"},
    {"tailslate/durable.h", NULL},
    {"tailslate/metrics.h", NULL},
    {"tailslate/uuid.h", NULL},
    {"unistd.h", NULL},
    {"fcntl.h", NULL},
    {"time.h", NULL},
    {"dirent.h", NULL},
    {"pthread.h", NULL},
    {"sys/stat.h", NULL},
    {"sys/time.h", NULL},
};

static const char *const banned[] = {
    "sprintf", "vsprintf", "strcpy",   "strcat", "strtok", "atoi",   "atol", "atoll", "strtol",
    "strtoul", "strtoll",  "strtoull", "system", "popen",  "signal", "rand", "srand", "alloca",
};

static const char *const rooms[] = {
    "include/tailslate", "common",         "agent",          "agent/spool",    "agent/transcode",
    "agent/server",      "agent/look",     "verifier",       "verifier/store", "verifier/gate",
    "verifier/http",     "verifier/files", "verifier/verbs",
};

enum { PATH_BYTES = 256, SOURCE_MAX_BYTES = 1 << 20 };

struct source {
    const char *path; /* below the top: "agent/job.c" */
    char *text;       /* without comments */
    char *code;       /* without comments, texts and characters */
};

/* One rule: a line in the report for each breach. */
typedef void rule(const struct source *source, FILE *report);

static const char *end_of_comment(const char *at)
{
    if (at[1] == '/')
        return at + strcspn(at, "\n");
    const char *end = strstr(at + 2, "*/");
    return end ? end + 2 : at + strlen(at);
}

static const char *end_of_quotes(const char *at)
{
    char quote = *at++;
    while (*at && *at != quote && *at != '\n')
        at += at[0] == '\\' && at[1] ? 2 : 1;
    return *at == quote ? at + 1 : at;
}

/* Blanks in place of what is left out, so that lines keep their numbers. */
static char *stripped(const char *text, bool keeps_quotes)
{
    char *result = must_strdup(text);
    for (const char *at = text; *at;) {
        bool is_comment = at[0] == '/' && (at[1] == '/' || at[1] == '*');
        bool is_quote = *at == '"' || *at == '\'';
        const char *end = is_comment ? end_of_comment(at) : is_quote ? end_of_quotes(at) : at + 1;
        if (is_comment || (is_quote && !keeps_quotes))
            for (const char *blank = at; blank < end; blank++)
                if (*blank != '\n')
                    result[blank - text] = ' ';
        at = end;
    }
    return result;
}

static int line_of(const char *text, const char *at)
{
    int line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

/* "include/tailslate/token.h" -> "common/token", "agent/spool/job.h" -> "agent/job": sub-rooms are
 * for the eye, names are told apart in the whole room. */
static void module_name(const char *path, char name[PATH_BYTES])
{
    const char *file = strrchr(path, '/') + 1;
    size_t room = strcspn(path, "/") + 1;
    bool is_shared = strncmp(path, "include/", 8) == 0;
    snprintf(name, PATH_BYTES, "%.*s%.*s", is_shared ? 7 : (int)room, is_shared ? "common/" : path,
             (int)strcspn(file, "."), file);
}

/* By the whole name, then by what stands before its last underscore. NULL: unknown. */
static const struct module *find_module(const char *name)
{
    char wanted[PATH_BYTES];
    snprintf(wanted, sizeof wanted, "%s", name);
    for (char *end = wanted; end; end = strrchr(wanted, '_')) {
        if (end > wanted)
            *end = '\0';
        for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
            if (strcmp(modules[i].name, wanted) == 0)
                return &modules[i];
    }
    return NULL;
}

static const struct module *module_of(const char *path)
{
    char name[PATH_BYTES];
    module_name(path, name);
    return find_module(name);
}

/* The next #include at or behind *at: its name, and whether it is one of ours. */
static bool next_include(const char **at, char name[PATH_BYTES], bool *is_ours)
{
    static const char directive[] = "#include ";
    for (; (*at = strstr(*at, directive)); (*at)++) {
        const char *open = *at + strlen(directive);
        size_t size = strcspn(open + 1, ">\"\n");
        if ((*open != '"' && *open != '<') || size >= PATH_BYTES)
            continue;
        *is_ours = *open == '"';
        snprintf(name, PATH_BYTES, "%.*s", (int)size, open + 1);
        return true;
    }
    return false;
}

static const struct module *included_module(const char *path, const char *include)
{
    char file[PATH_BYTES];
    if (strncmp(include, "tailslate/", 10) == 0)
        snprintf(file, sizeof file, "include/%.200s", include);
    else
        snprintf(file, sizeof file, "%.*s/%.200s", (int)strcspn(path, "/"), path, include);
    return module_of(file);
}

static bool is_header(const char *path)
{
    return path[strlen(path) - 1] == 'h';
}

static void check_layers(const struct source *source, FILE *report)
{
    const struct module *module = module_of(source->path);
    if (!module) {
        fprintf(report, "%s: no module of this name stands in test_layers.c\n", source->path);
        return;
    }
    int layer = is_header(source->path) ? module->header : module->body;
    char name[PATH_BYTES];
    bool is_ours;
    for (const char *at = source->text; next_include(&at, name, &is_ours); at++) {
        const struct module *included = is_ours ? included_module(source->path, name) : NULL;
        int line = line_of(source->text, at);
        if (is_ours && !included)
            fprintf(report, "%s:%d: %s is of no known module\n", source->path, line, name);
        if (included && included != module && included->header > layer)
            fprintf(report, "%s:%d: layer %d includes %s of layer %d\n", source->path, line, layer,
                    name, included->header);
    }
}

static void check_libraries(const struct source *source, FILE *report)
{
    char name[PATH_BYTES];
    bool is_ours;
    for (const char *at = source->text; next_include(&at, name, &is_ours); at++)
        for (size_t i = 0; i < sizeof libraries / sizeof libraries[0] && !is_ours; i++)
            if (strncmp(name, libraries[i].include, strlen(libraries[i].include)) == 0 &&
                !strstr(libraries[i].files, source->path))
                fprintf(report, "%s:%d: <%s> stands in %s only\n", source->path,
                        line_of(source->text, at), name, libraries[i].files);
}

static void check_purity(const struct source *source, FILE *report)
{
    const struct module *module = module_of(source->path);
    if (!module || module->purity == IMPURE)
        return;
    char name[PATH_BYTES];
    bool is_ours;
    for (const char *at = source->text; next_include(&at, name, &is_ours); at++)
        for (size_t i = 0; i < sizeof impure_includes / sizeof impure_includes[0]; i++) {
            const char *exception = impure_includes[i].exception;
            bool is_excepted = exception && strcmp(exception, module->name) == 0;
            if (strcmp(name, impure_includes[i].include) == 0 && !is_excepted)
                fprintf(report, "%s:%d: a pure module includes %s\n", source->path,
                        line_of(source->text, at), name);
        }
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* A call by this name: not a part of a longer one, not a member. */
static bool is_call(const char *code, const char *at, size_t size)
{
    char before = at > code ? at[-1] : ' ';
    bool is_member = before == '.' || (before == '>' && at > code + 1 && at[-2] == '-');
    const char *behind = at + size + strspn(at + size, " \n");
    return !is_name_byte(before) && !is_member && *behind == '(';
}

static void check_banned(const struct source *source, FILE *report)
{
    for (size_t i = 0; i < sizeof banned / sizeof banned[0]; i++) {
        size_t size = strlen(banned[i]);
        for (const char *at = source->code; (at = strstr(at, banned[i])); at += size)
            if (is_call(source->code, at, size))
                fprintf(report, "%s:%d: %s\n", source->path, line_of(source->code, at), banned[i]);
    }
}

static void apply(rule *check, const char *path, const char *text, FILE *report)
{
    TEXT(without_comments) = stripped(text, true);
    TEXT(code) = stripped(text, false);
    struct source source = {path, without_comments, code};
    check(&source, report);
}

static bool is_source(const char *name)
{
    size_t size = strlen(name);
    return size > 2 && name[size - 2] == '.' && (name[size - 1] == 'c' || name[size - 1] == 'h');
}

static int apply_to_room(rule *check, const char *room, FILE *report)
{
    int count = 0;
    TEXT(path) = must_printf("%s/%s", TAILSLATE_SOURCE_DIR, room);
    DIRECTORY(list) = opendir(path);
    cr_assert(list, "%s", path);
    for (struct dirent *entry; (entry = readdir(list));) {
        if (!is_source(entry->d_name))
            continue;
        struct error err;
        TEXT(text) = NULL;
        size_t size;
        cr_assert_eq(durable_read(dirfd(list), entry->d_name, SOURCE_MAX_BYTES, &text, &size, &err),
                     0, "%s", err.message);
        TEXT(file) = must_printf("%s/%s", room, entry->d_name);
        apply(check, file, text, report);
        count++;
    }
    return count;
}

static void expect_house_keeps(rule *check)
{
    char *breaches = NULL;
    size_t size = 0;
    FILE *report = open_memstream(&breaches, &size);
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
        cr_expect_gt(apply_to_room(check, rooms[i], report), 0, "nothing to read in %s", rooms[i]);
    fclose(report);
    cr_expect_str_eq(breaches, "");
    free(breaches);
}

Test(layers, every_include_points_down_or_sideways)
{
    expect_house_keeps(check_layers);
}

Test(layers, every_library_stands_in_its_one_file)
{
    expect_house_keeps(check_libraries);
}

Test(layers, pure_modules_reach_for_no_clock_file_or_log)
{
    expect_house_keeps(check_purity);
}

Test(layers, banned_functions_are_not_called)
{
    expect_house_keeps(check_banned);
}

/* A rule that sees nothing would always be kept: each is shown what it has to see. */
static const struct {
    rule *check;
    const char *path, *text, *report;
} samples[] = {
    {check_layers, "common/log.c", "\n#include \"tailslate/clock.h\"\n",
     "common/log.c:2: layer 0 includes tailslate/clock.h of layer 1\n"},
    {check_layers, "common/json.c", "#include \"json_scan.h\"\n#include \"tailslate/error.h\"\n",
     ""},
    {check_layers, "common/message_fields.h", "#include \"tailslate/json.h\"\n", ""},
    {check_layers, "include/tailslate/hash.h", "#include \"tailslate/message.h\"\n",
     "include/tailslate/hash.h:1: layer 1 includes tailslate/message.h of layer 2\n"},
    {check_layers, "agent/job.c", "#include \"record.h\"\n",
     "agent/job.c:1: layer 2 includes record.h of layer 3\n"},
    {check_layers, "agent/job.c", "#include \"store.h\"\n",
     "agent/job.c:1: store.h is of no known module\n"},
    {check_layers, "agent/job.c", "/* #include \"record.h\" */ // #include \"record.h\"\n", ""},
    {check_layers, "agent/spool/job.c", "#include \"record.h\"\n",
     "agent/spool/job.c:1: layer 2 includes record.h of layer 3\n"},
    {check_layers, "agent/novel.c", "",
     "agent/novel.c: no module of this name stands in test_layers.c\n"},
    {check_libraries, "agent/step.c", "#include <curl/curl.h>\n",
     "agent/step.c:1: <curl/curl.h> stands in agent/server/http.c only\n"},
    {check_libraries, "agent/server/http.c", "#include <curl/curl.h>\n", ""},
    {check_libraries, "common/config_print.c", "#include <libconfig.h>\n",
     "common/config_print.c:1: <libconfig.h> stands in common/config.c only\n"},
    {check_libraries, "common/config.c", "#include \"tailslate/archive.h\"\n", ""},
    {check_purity, "common/token.c", "#include <time.h>\n",
     "common/token.c:1: a pure module includes time.h\n"},
    {check_purity, "include/tailslate/message.h", "#include \"tailslate/clock.h\"\n", ""},
    {check_purity, "verifier/verify.c", "#include \"tailslate/clock.h\"\n",
     "verifier/verify.c:1: a pure module includes tailslate/clock.h\n"},
    {check_purity, "common/clock.c", "#include <time.h>\n", ""},
    {check_banned, "a/b.c", "x = atoi(y);\n\n strcpy (a, b);", "a/b.c:3: strcpy\na/b.c:1: atoi\n"},
    {check_banned, "a/b.c", "snprintf(); s.signal(1); s->signal(1); my_system(); \"atoi()\";", ""},
    {check_banned, "a/b.c", "'\"'; /* rand() */ rand(); \"\\\"\" ; int alloca;", "a/b.c:1: rand\n"},
};

Test(layers, each_rule_sees_what_breaks_it)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char *breaches = NULL;
        size_t size = 0;
        FILE *report = open_memstream(&breaches, &size);
        apply(samples[i].check, samples[i].path, samples[i].text, report);
        fclose(report);
        cr_expect_str_eq(breaches, samples[i].report);
        free(breaches);
    }
}
