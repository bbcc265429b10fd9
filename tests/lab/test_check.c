/* The checker rejects what the promises exclude. Each test changes one thing
 * in a run that kept them. */
#include "check.h"
#include "lib/cleanup.h"
#include "lib/durable.h"
#include "lib/error.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* tests/lab/kept. Job 1: node 0 completes it; the first answer is lost. Job 2: node 0 falls silent,
 * node 1 takes it over. Job 3 is cancelled, job 4 deleted. Times: seconds of the minute 13:50. */
static char *history, *database;
#define AT(seconds)             "17957874" seconds
#define HEARD(asked, answered)  "\"asked_us\":" AT(asked) ",\"answered_us\":" AT(answered)
#define ROW_TIME(name, seconds) "\"" name "\":\"2026-11-27T13:50:" seconds "+00:00\""
/* Node 0 names both of its jobs. */
#define ALIVE(asked, answered)                                                                     \
    "{\"event\":\"call\",\"what\":\"heartbeat\",\"node\":0,\"job\":null,\"epoch\":null,"           \
    "\"jobs\":[1,2],\"status\":200," HEARD(asked, answered) "}\n"

static char *kept(int directory, const char *name)
{
    char *content;
    size_t size;
    struct error err;
    cr_assert(durable_read(directory, name, 64 << 10, &content, &size, &err) == 0, "%s",
              err.message);
    return content;
}

static void read_kept_run(void)
{
    FD(directory) = open(TAILSLATE_SOURCE_DIR "/tests/lab/kept", O_RDONLY | O_CLOEXEC);
    history = kept(directory, "history.jsonl");
    database = kept(directory, "database.json");
}

TestSuite(check, .init = read_kept_run);

/* ---- the run on disk ------------------------------------------------------------------------- */

#define SIGN_1 "11111111-1111-1111-1111-111111111111"
#define SIGN_2 "22222222-2222-2222-2222-222222222222"

static void put(const char *directory, const char *name, const char *content)
{
    TEXT(path) = must_printf("%s/%s", directory, name);
    for (char *at = path + strlen(directory) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
    STREAM(file) = fopen(path, "we");
    cr_assert(file && fputs(content, file) >= 0, "%s", path);
}

static void put_rendition(const char *directory, const char *slug, const char *sign)
{
    static const char *const names[] = {"init.mp4", "seg_0000.m4s"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        TEXT(path) = must_printf("videos/%s/360p/%s", slug, names[i]);
        TEXT(content) = must_printf("some frames %s", sign);
        put(directory, path, content);
    }
    TEXT(path) = must_printf("videos/%s/360p/stream.m3u8", slug);
    TEXT(content) = must_printf("#EXTM3U\n#EXTINF:1,\nseg_0000.m4s\n#EXT-X-ENDLIST\n# %s\n", sign);
    put(directory, path, content);
}

/* The text with its one occurrence of a part replaced; owned. */
static char *changed(const char *text, const char *part, const char *other)
{
    const char *at = strstr(text, part);
    cr_assert(at && !strstr(at + 1, part), "not once: %s", part);
    return must_printf("%.*s%s%s", (int)(at - text), text, other, at + strlen(part));
}

static char *make_run(const char *told, const char *stored)
{
    char directory[] = "/tmp/tailslate-check-XXXXXX";
    cr_assert(mkdtemp(directory));
    put(directory, "history.jsonl", told);
    put(directory, "database.json", stored);
    put_rendition(directory, "lab-1", SIGN_1);
    put_rendition(directory, "lab-2", SIGN_2);
    return must_strdup(directory);
}

static void remove_run(const char *directory)
{
    TEXT(remove) = must_printf("rm -rf '%s'", directory);
    cr_assert(system(remove) == 0); // NOLINT(cert-env33-c): a path of our own
}

static int check_run(const char *directory, FILE *out)
{
    struct evidence evidence;
    int result = evidence_read(&evidence, directory, out);
    if (result == 0)
        check_all(&evidence);
    evidence_fini(&evidence);
    return result;
}

/* What the checker says of it, owned; the directory goes. */
static char *judged(char *owned_directory)
{
    char *said = NULL;
    size_t size;
    TEXT(directory) = owned_directory;
    FILE *out = open_memstream(&said, &size);
    cr_assert(check_run(directory, out) == 0);
    fclose(out);
    remove_run(directory);
    return said;
}

Test(check, a_run_that_kept_the_promises_is_left_in_peace)
{
    TEXT(said) = judged(make_run(history, database));
    cr_assert_str_eq(said, "");
}

/* ---- forgeries ------------------------------------------------------------------------------- */

struct forgery {
    char promise[4], part[160], other[160], complaint[48];
    bool is_stored; /* in the database, else in the history */
};

static const struct forgery forgeries[] = {
    {"P1", "\"token\":\"1-a\",\"worker", "\"token\":\"1-b\",\"worker", "is not on record", true},
    {"P1", ROW_TIME("committed_at", "03.100000"), ROW_TIME("committed_at", "03.300000"),
     "before its commit", true},
    {"P1", "\"1-a\",\"completed_at\":\"2026-11-27T13:50:03.1+",
     "\"1-c\",\"completed_at\":\"2026-11-27T13:50:03.1+", "answered with token 1-c", false},
    {"P1", "\"completed_at\":\"2026-11-27T13:50:12.050000",
     "\"completed_at\":\"2026-11-27T13:50:12.01", "acknowledged, ", false},
    {"P2", "\"replayed\":true", "\"replayed\":false", "took effect twice", false},
    {"P2", "{\"video_id\":12,\"quality\"", "{\"video_id\":11,\"quality\"", "twice", true},
    {"P2", ROW_TIME("published_at", "03.1"), ROW_TIME("published_at", "05.1"),
     "not at its first completion", true},
    {"P2", ROW_TIME("completed_at", "03.100000"), ROW_TIME("completed_at", "05.1"),
     "not at its last completion", true},
    {"P2", "\"token\":\"1-a\",\"status\":503", "\"token\":\"1-d\",\"status\":503", "with tokens",
     false},
    {"P2", "\"job_id\":2,\"claim_epoch\":2,\"token\"", "\"job_id\":1,\"claim_epoch\":2,\"token\"",
     "2 completions", true},
    {"P3", "\"epoch\":1,\"token\":\"1-a\"}", "\"epoch\":1,\"token\":\"1-e\"}", "is on no record",
     false},
    {"P3", "," ROW_TIME("completed_at", "06.5"), "", "has come to no end", true},
    {"P3", "{\"job_id\":3,\"cancelled\":1}", "", "for no reason of the schedule", true},
    {"P4", "\"status\":409,\"asked_us\":" AT("13000000"),
     "\"status\":200,\"asked_us\":" AT("13000000"), "progress of claim 1 was accepted", false},
    {"P4", "\"status\":409,\"asked_us\":" AT("13300000"),
     "\"status\":200,\"asked_us\":" AT("13300000"), "job 2: upload of claim 1", false},
    {"P4", "{\"job_id\":4,\"claim_epoch\":1}", "{\"job_id\":2,\"claim_epoch\":1}", "granted twice",
     false},
    {"P4", "\"worker_id\":\"w1\",\"committed", "\"worker_id\":\"w0\",\"committed", "completed it",
     true},
    {"P5", "{\"job_id\":2,\"claim_epoch\":2}", "{\"job_id\":2,\"claim_epoch\":1}", "was refused",
     true},
    {"P5", "\"verb\":\"cancel\"", "\"verb\":\"release\"", "was refused (job_gone)", false},
    {"P6", "{\"job_id\":1,\"claim_epoch\":1}", "{\"job_id\":1,\"claim_epoch\":2}",
     "claimed again after", true},
    {"P6", "\"slug\":\"lab-2\",\"status\":\"ready\"", "\"slug\":\"lab-2\",\"status\":\"pending\"",
     "and then pending", true},
    {"P6", "\"verb\":\"delete\"", "\"verb\":\"release\"", "nobody deleted it", false},
    {"P7", AT("19000000"), AT("59000000"), "30 s after all was well", false},
    {"P7", "\"calm\":true", "\"calm\":false", "did not come to rest", false},
    {"P8", "\"token\":\"2-b\",\"worker", "\"token\":\"2-c\",\"worker", "is not on record", true},
    {"P9", HEARD("02000000", "02050000"), HEARD("09000000", "09050000"), "while node 0 held it",
     false},
    {"P9", ROW_TIME("swept_at", "10"), ROW_TIME("swept_at", "05"), "before it expired", true},
    {"end", "\"status\":0", "\"status\":139", "ended with status 139", false},
};
enum { FORGERIES = sizeof forgeries / sizeof *forgeries };

Test(check, rejects_each_forgery_for_the_promise_that_it_breaks)
{
    for (size_t i = 0; i < FORGERIES; i++) {
        const struct forgery *forgery = &forgeries[i];
        TEXT(forged) = changed(forgery->is_stored ? database : history, forgery->part,
                               forgery->other);
        TEXT(said) = judged(make_run(forgery->is_stored ? history : forged,
                                     forgery->is_stored ? forged : database));
        cr_expect(strstr(said, forgery->promise) && strstr(said, forgery->complaint),
                  "%s, %s: \"%s\"", forgery->promise, forgery->complaint, said);
    }
}

Test(check, judges_a_claim_that_takes_over_although_no_sweep_released_the_job)
{
    TEXT(live) = changed(history, ALIVE("02000000", "02050000"),
                         ALIVE("04000000", "04050000") ALIVE("06000000", "06050000")
                             ALIVE("08000000", "08050000") ALIVE("10000000", "10050000"));
    TEXT(stored) = changed(database, "{\"job\":2,\"epoch\":1}", "");
    TEXT(said) = judged(make_run(live, stored));
    cr_expect(strstr(said, "P9: job 2: claim 1 was taken over while node 0 held it"), "%s", said);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void rejects_file(const char *name, const char *content, const char *complaint)
{
    char *directory = make_run(history, database);
    put(directory, name, content);
    TEXT(said) = judged(directory);
    cr_expect(strstr(said, complaint), "%s: \"%s\"", complaint, said);
}

Test(check, looks_for_the_files_of_every_rendition_on_record)
{
    rejects_file("videos/lab-1/360p/seg_0000.m4s", "", "P1: lab-1 is on record, and");
    rejects_file("videos/lab-1/360p/stream.m3u8", "#EXTM3U\nseg_0001.m4s\n# " SIGN_1, "seg_0001");
}

Test(check, tells_two_transcodes_in_one_rendition_apart)
{
    rejects_file("videos/lab-1/360p/seg_0000.m4s", "other frames " SIGN_2, "P4: ");
}

Test(check, lets_nothing_stay_in_a_spool_but_the_work_for_a_deleted_job)
{
    rejects_file("agent-1/spool/2.1/claim.json", "{}", "P3: node 1 has record 2.1 left in spool");
    rejects_file("agent-0/quarantine/1.1/claim.json", "{}", "left in quarantine");
    rejects_file("agent-0/spool/4.1/claim.json", "{}", "");
}

Test(check, lets_no_output_stay_that_belongs_to_no_video)
{
    rejects_file("videos/lab-8/360p/init.mp4", "x", "");
    char *directory = make_run(history, database);
    put(directory, "videos/lab-8/360p/init.mp4", "x");
    put(directory, "videos/lab-9/360p/init.mp4", "x");
    TEXT(said) = judged(directory);
    cr_expect(strstr(said, "P6: 2 directories"), "%s", said);
}
