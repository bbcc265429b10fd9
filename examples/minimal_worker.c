/* minimal_worker: the agent's promise in your own worker.
 *
 * Claims jobs one after the other until there is none. WORK is run by the shell with the job's ID
 * in $JOB: it makes the renditions and uploads them, and stands for whatever a worker does. The
 * outbox does the rest: kill this program whenever you like and start it again.
 *
 *     cc minimal_worker.c $(pkg-config --cflags --libs tailslate libcurl) -o minimal_worker
 *     minimal_worker SERVER KEY_FILE OUTBOX_DIRECTORY WORK */
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tailslate/outbox.h>
#include <time.h>

static const char *server;
static char key_header[300] = "X-Worker-API-Key: ";
static const struct tailslate_backoff policy = {.base_ms = 100, .cap_ms = 60 * 1000};
static struct tailslate_outbox_answer claimed;

static size_t keep(const char *data, size_t size, size_t count, void *ctx)
{
    struct tailslate_outbox_answer *answer = ctx;
    size_t bytes = size * count, space = sizeof answer->body - answer->body_size;
    memcpy(answer->body + answer->body_size, data, bytes < space ? bytes : space);
    answer->body_size += bytes < space ? bytes : space;
    return bytes;
}

static void post(const char *path, const char *body, const char *const headers[],
                 struct tailslate_outbox_answer *answer)
{
    char url[1024];
    const char *type = NULL;
    curl_off_t retry_after_s = 0;
    CURL *curl = curl_easy_init();
    struct curl_slist *list = curl_slist_append(NULL, key_header);
    for (; *headers; headers++)
        list = curl_slist_append(list, *headers);
    snprintf(url, sizeof url, "%s%s", server, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    CURLcode code = curl_easy_perform(curl);
    answer->reach = code == CURLE_OK                         ? TAILSLATE_REACH_ANSWERED
                    : code == CURLE_PEER_FAILED_VERIFICATION ? TAILSLATE_REACH_UNTRUSTED
                                                             : TAILSLATE_REACH_UNREACHED;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    snprintf(answer->content_type, sizeof answer->content_type, "%s", type ? type : "");
    if (retry_after_s > 0 && retry_after_s <= 3600)
        answer->retry_after_ms = retry_after_s * 1000;
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
}

static void present(void *ctx, const struct tailslate_outbox_post *completion,
                    struct tailslate_outbox_answer *answer)
{
    char path[64], key[TAILSLATE_TOKEN_BYTES + 32], epoch[64];
    const char *headers[4] = {"Content-Type: application/json"};
    int count = 1;
    (void)ctx;
    snprintf(path, sizeof path, "/api/worker/%" PRId64 "/complete", completion->job_id);
    snprintf(key, sizeof key, "Idempotency-Key: \"%s\"", completion->token);
    snprintf(epoch, sizeof epoch, "X-Claim-Epoch: %" PRId64, completion->claim_epoch);
    if (completion->token[0])
        headers[count++] = key;
    if (completion->claim_epoch != TAILSLATE_ABSENT_INT)
        headers[count++] = epoch;
    post(path, completion->body, headers, answer);
}

static void say(void *ctx, const struct tailslate_outbox_report *report)
{
    static const char *const outcomes[] = {
        [TAILSLATE_OUTBOX_AGAIN] = "again",
        [TAILSLATE_OUTBOX_ACKNOWLEDGED] = "acknowledged",
        [TAILSLATE_OUTBOX_HELD] = "held",
        [TAILSLATE_OUTBOX_UPLOAD] = "upload",
        [TAILSLATE_OUTBOX_CLAIM_GONE] = "claim gone",
        [TAILSLATE_OUTBOX_REFUSED] = "refused",
        [TAILSLATE_OUTBOX_LOCAL] = "local",
    };
    (void)ctx;
    printf("job %" PRId64 ": %s %s\n", report->job_id, outcomes[report->outcome], report->why);
}

static void wait_ms(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void deliver_all(struct tailslate_outbox *outbox)
{
    const struct tailslate_outbox_sender sender = {NULL, present, say, policy};
    struct timespec now;
    int64_t left_ms;
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        left_ms = tailslate_outbox_deliver(outbox, now.tv_sec * 1000 + now.tv_nsec / 1000000,
                                           &sender);
        wait_ms(left_ms > 0 ? left_ms : 0);
    } while (left_ms >= 0);
}

static void abandon_all(struct tailslate_outbox *outbox)
{
    static int64_t jobs[TAILSLATE_OUTBOX_JOBS_MAX];
    for (size_t left = tailslate_outbox_unsealed(outbox, jobs); left-- > 0;)
        if (tailslate_outbox_abandon(outbox, jobs[left]) != 0)
            fprintf(stderr, "minimal_worker: %s\n", tailslate_outbox_error(outbox));
}

/* A worker has a JSON parser; this one looks for a number. */
static int64_t number(const char *body, const char *member)
{
    int64_t value = TAILSLATE_ABSENT_INT;
    const char *at = strstr(body, member);
    return at && sscanf(at + strlen(member), "%" SCNd64, &value) == 1 ? value
                                                                      : TAILSLATE_ABSENT_INT;
}

/* 0: there is no job. */
static int64_t claim(int64_t *epoch)
{
    const char *const no_headers[] = {NULL};
    for (unsigned attempt = 0;; attempt++) {
        claimed = (struct tailslate_outbox_answer){.reach = TAILSLATE_REACH_UNREACHED};
        post("/api/worker/claim", "", no_headers, &claimed);
        if (claimed.status == 200)
            break;
        printf("claim: again, HTTP %ld\n", claimed.status);
        wait_ms(tailslate_backoff_delay_ms(policy, attempt, -1, (uint64_t)random() << 33));
    }
    claimed.body[sizeof claimed.body - 1] = '\0';
    int64_t job_id = number(claimed.body, "\"job_id\":");
    *epoch = number(claimed.body, "\"claim_epoch\":");
    return job_id > 0 ? job_id : 0;
}

static void work(int64_t job_id, const char *command, struct tailslate_completion *completion)
{
    char id[32];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    setenv("JOB", id, 1);
    /* Started again, it asks for a job again; a real worker reports the failure. */
    if (system(command) != 0) /* NOLINT(cert-env33-c): the user's own command line */
        exit(1);
    *completion = (struct tailslate_completion){
        .renditions = {{TAILSLATE_QUALITY_360P, 640, 360, 600}},
        .rendition_count = 1,
        .duration = 1,
        .source_width = 640,
        .source_height = 360,
        .format = TAILSLATE_FORMAT_CMAF,
        .codec = TAILSLATE_CODEC_H264,
    };
}

int main(int argc, char **argv)
{
    char reason[TAILSLATE_REASON_BYTES], token[TAILSLATE_TOKEN_BYTES];
    struct tailslate_completion completion;
    struct tailslate_outbox *outbox = argc == 5 ? tailslate_outbox_open(argv[3], reason) : NULL;
    FILE *key = outbox ? fopen(argv[2], "r") : NULL;
    if (!key || fscanf(key, "%256s", key_header + strlen(key_header)) != 1) {
        fprintf(stderr, "minimal_worker: %s\n", argc == 5 && !outbox ? reason : "key or usage");
        return 1;
    }
    fclose(key);
    server = argv[1];
    setlinebuf(stdout);
    srandom((unsigned)time(NULL));
    abandon_all(outbox); /* what the life before had not finished; what it had, is delivered */
    deliver_all(outbox);
    for (int64_t epoch, job_id; (job_id = claim(&epoch)) != 0; deliver_all(outbox)) {
        enum tailslate_outbox_claim state = tailslate_outbox_claim(outbox, job_id, epoch, token);
        if (state == TAILSLATE_OUTBOX_OPEN) {
            work(job_id, argv[4], &completion);
            state = tailslate_outbox_seal(outbox, job_id, &completion) == 0
                        ? TAILSLATE_OUTBOX_SEALED
                        : TAILSLATE_OUTBOX_FAILED;
        }
        if (state == TAILSLATE_OUTBOX_FAILED) {
            fprintf(stderr, "minimal_worker: %s\n", tailslate_outbox_error(outbox));
            return 1;
        }
    }
    tailslate_outbox_close(outbox);
    return 0;
}
