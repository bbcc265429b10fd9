/* The rules of the tree that a compiler does not check, over every source file. */

#include "scratch.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>

/* Every directory with source files, in the order of dependence. A file includes files of its own
 * directory and of those above it in the table; an agent's directory none of the verifier's, and
 * the other way round. */
static const char *const directories[] = {
    "lib",
    "include/tailslate",
    "base",
    "agent/base",
    "agent/spool",
    "agent/api",
    "agent/media",
    "agent/step",
    "agent/daemon",
    "agent/cli",
    "verifier/base",
    "verifier/db",
    "verifier/files",
    "verifier/store",
    "verifier/gate",
    "verifier/sweeper",
    "verifier/webhook",
    "verifier/http",
    "verifier/cli",
};
enum { DIRECTORY_COUNT = sizeof directories / sizeof directories[0] };

/* They know no clock, descriptor, or log. A star: every name that begins so. */
static const char *const pure[] = {
    "lib/token",
    "lib/backoff",
    "lib/problem",
    "lib/quality",
    "lib/warnings",
    "lib/completion",
    "lib/answer",
    "lib/verify",
    "lib/ledger",
    "lib/message_fields",
    "lib/outbox_judge",
    "base/message*",
    "base/playlist",
    "base/url",
    "agent/base/argv",
    "agent/spool/job",
    "agent/api/delivery",
    "agent/daemon/due",
    "agent/media/audio",
    "agent/media/limits",
    "agent/media/box",
    "agent/media/measure",
    "agent/media/probe_parse",
    "agent/media/encoder",
    "agent/media/filter",
    "agent/media/ladder",
    "agent/media/manifest",
    "verifier/base/address",
    "verifier/base/grace",
    "verifier/base/number",
    "verifier/base/range",
    "verifier/base/segment",
    "verifier/base/slug",
    "verifier/gate/gate_url",
    "verifier/webhook/signature",
};

/* A library of somebody else stands in one file (one a backend). Include beginning -> files. */
static const struct {
    const char *include, *files;
} libraries[] = {
    {"cjson/", "lib/json.c"},
    {"uuid/", "lib/uuid.c"},
    {"libconfig", "base/config.c"},
    {"openssl/", "lib/hash.c verifier/gate/gate_redis.c"},
    {"archive.h", "base/archive.c"},
    {"archive_entry.h", "base/archive.c"},
    {"curl/", "agent/api/http.c verifier/webhook/post.c"},
    {"sqlite3", "verifier/db/db_sqlite.c"},
    {"libpq-fe.h", "verifier/db/db_postgres.c verifier/db/db_postgres_answer.c"
                   " verifier/db/db_postgres_batch.c verifier/db/db_postgres_connect.c"},
    {"hiredis/", "verifier/gate/gate_redis.c"},
    {"argon2.h", "verifier/store/keys.c"},
    {"gnutls/", "verifier/http/tls.c"},
    {"microhttpd", "verifier/http/server.c agent/daemon/health.c"},
};

/* What makes a module depend on more than its parameters. The length of a time's text is no clock.
 */
static const char *const impure_includes[] = {
    "base/log.h", "lib/durable.h", "base/metrics.h", "lib/uuid.h", "unistd.h",   "fcntl.h",
    "time.h",     "dirent.h",      "pthread.h",      "sys/stat.h", "sys/time.h",
};

static const char *const banned[] = {
    "sprintf", "vsprintf", "strcpy",   "strcat", "strtok", "atoi",   "atol", "atoll", "strtol",
    "strtoul", "strtoll",  "strtoull", "system", "popen",  "signal", "rand", "srand", "alloca",
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

/* The place of this path's directory in the table; -1: it is not there. */
static int directory_of(const char *path)
{
    size_t size = (size_t)(strrchr(path, '/') - path);
    for (int i = 0; i < DIRECTORY_COUNT; i++)
        if (strlen(directories[i]) == size && strncmp(directories[i], path, size) == 0)
            return i;
    return -1;
}

static bool is_pure(const char *path)
{
    size_t size = strcspn(path, ".");
    for (size_t i = 0; i < sizeof pure / sizeof pure[0]; i++) {
        size_t fixed = strcspn(pure[i], "*");
        bool is_prefix = pure[i][fixed] == '*';
        if ((is_prefix ? size >= fixed : size == fixed) && strncmp(path, pure[i], fixed) == 0)
            return true;
    }
    return false;
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

static bool is_of(const char *directory, const char *program)
{
    return strncmp(directory, program, strlen(program)) == 0;
}

static bool may_include(const char *directory, const char *included)
{
    return !(is_of(directory, "agent/") && is_of(included, "verifier/")) &&
           !(is_of(directory, "verifier/") && is_of(included, "agent/"));
}

static void check_layers(const struct source *source, FILE *report)
{
    int directory = directory_of(source->path);
    if (directory < 0) {
        fprintf(report, "%s: its directory is not in the table of test_layers.c\n", source->path);
        return;
    }
    char name[PATH_BYTES], path[PATH_BYTES];
    bool is_ours;
    for (const char *at = source->text; next_include(&at, name, &is_ours); at++) {
        if (!is_ours)
            continue;
        int line = line_of(source->text, at);
        snprintf(path, sizeof path, "%s%.200s", is_of(name, "tailslate/") ? "include/" : "", name);
        int included = strchr(path, '/') ? directory_of(path) : -1;
        /* The public headers and lib/ are one library. */
        if (included < 0)
            fprintf(report, "%s:%d: %s is not a path from the top\n", source->path, line, name);
        else if ((included > directory && included > 1) ||
                 !may_include(directories[directory], directories[included]))
            fprintf(report, "%s:%d: includes %s, which lies above it\n", source->path, line, name);
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
    if (!is_pure(source->path))
        return;
    char name[PATH_BYTES];
    bool is_ours;
    for (const char *at = source->text; next_include(&at, name, &is_ours); at++)
        for (size_t i = 0; i < sizeof impure_includes / sizeof impure_includes[0]; i++)
            if (strcmp(name, impure_includes[i]) == 0)
                fprintf(report, "%s:%d: a pure module includes %s\n", source->path,
                        line_of(source->text, at), name);
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

static int apply_to_directory(rule *check, const char *directory, FILE *report)
{
    int count = 0;
    TEXT(path) = must_printf("%s/%s", TAILSLATE_SOURCE_DIR, directory);
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
        TEXT(file) = must_printf("%s/%s", directory, entry->d_name);
        apply(check, file, text, report);
        count++;
    }
    return count;
}

static void expect_tree_keeps(rule *check)
{
    char *breaches = NULL;
    size_t size = 0;
    FILE *report = open_memstream(&breaches, &size);
    for (int i = 0; i < DIRECTORY_COUNT; i++)
        cr_expect_gt(apply_to_directory(check, directories[i], report), 0, "nothing to read in %s",
                     directories[i]);
    fclose(report);
    cr_expect_str_eq(breaches, "");
    free(breaches);
}

Test(layers, every_include_is_of_the_same_directory_or_of_one_below)
{
    expect_tree_keeps(check_layers);
}

Test(layers, every_library_stands_in_its_one_file)
{
    expect_tree_keeps(check_libraries);
}

Test(layers, pure_modules_reach_for_no_clock_file_or_log)
{
    expect_tree_keeps(check_purity);
}

Test(layers, banned_functions_are_not_called)
{
    expect_tree_keeps(check_banned);
}

/* A rule that sees nothing would always be kept: each is shown what it has to see. */
static const struct {
    rule *check;
    const char *path, *text, *report;
} samples[] = {
    {check_layers, "base/log.c", "\n#include \"agent/spool/job.h\"\n",
     "base/log.c:2: includes agent/spool/job.h, which lies above it\n"},
    {check_layers, "lib/json.c", "#include \"lib/json_scan.h\"\n#include \"tailslate/token.h\"\n",
     ""},
    {check_layers, "lib/json.c", "#include \"base/log.h\"\n",
     "lib/json.c:1: includes base/log.h, which lies above it\n"},
    {check_layers, "include/tailslate/ledger.h", "#include \"base/clock.h\"\n",
     "include/tailslate/ledger.h:1: includes base/clock.h, which lies above it\n"},
    {check_layers, "agent/spool/job.c", "#include \"agent/api/http.h\"\n",
     "agent/spool/job.c:1: includes agent/api/http.h, which lies above it\n"},
    {check_layers, "agent/cli/main.c", "#include \"verifier/db/db.h\"\n",
     "agent/cli/main.c:1: includes verifier/db/db.h, which lies above it\n"},
    {check_layers, "verifier/db/db.c", "#include \"agent/base/tree.h\"\n",
     "verifier/db/db.c:1: includes agent/base/tree.h, which lies above it\n"},
    {check_layers, "agent/spool/job.c", "#include \"job.h\"\n",
     "agent/spool/job.c:1: job.h is not a path from the top\n"},
    {check_layers, "agent/spool/job.c", "/* #include \"x.h\" */ // #include \"x.h\"\n", ""},
    {check_layers, "agent/novel/job.c", "",
     "agent/novel/job.c: its directory is not in the table of test_layers.c\n"},
    {check_libraries, "agent/step/step.c", "#include <curl/curl.h>\n",
     "agent/step/step.c:1: <curl/curl.h> stands in agent/api/http.c verifier/webhook/post.c "
     "only\n"},
    {check_libraries, "agent/api/http.c", "#include <curl/curl.h>\n", ""},
    {check_libraries, "base/config_value.c", "#include <libconfig.h>\n",
     "base/config_value.c:1: <libconfig.h> stands in base/config.c only\n"},
    {check_purity, "lib/token.c", "#include <time.h>\n",
     "lib/token.c:1: a pure module includes time.h\n"},
    {check_purity, "lib/verify.c", "#include \"base/log.h\"\n",
     "lib/verify.c:1: a pure module includes base/log.h\n"},
    {check_purity, "base/clock.c", "#include <time.h>\n", ""},
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
