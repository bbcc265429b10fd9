#include "verifier/webhook/post.h"

#include "lib/cleanup.h"

#include "tailslate/backoff.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct attempt {
    const struct post *post;
    CURL *easy;
    struct curl_slist *headers;
    char reason[CURL_ERROR_SIZE];
    size_t received;
    bool is_cut; /* the answer's body was longer than it may be */
};

/* With the first event: a verifier that sends none does not pay for it. libcurl does this safely
 * beside other threads (CURL_VERSION_THREADSAFE), and nobody else in the verifier uses it. */
static void init_once(void)
{
    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static size_t on_data(char *data, size_t one, size_t size, void *ctx)
{
    struct attempt *attempt = ctx;
    (void)data;
    attempt->received += one * size;
    attempt->is_cut = attempt->received > POST_ANSWER_MAX_BYTES;
    return attempt->is_cut ? 0 : one * size;
}

static int on_progress(void *ctx, curl_off_t to_get, curl_off_t got, curl_off_t to_send,
                       curl_off_t sent)
{
    const struct post *post = ctx;
    (void)to_get, (void)got, (void)to_send, (void)sent;
    return post->is_broken_off && atomic_load(post->is_broken_off);
}

static void add_header(struct attempt *attempt, const char *line)
{
    struct curl_slist *longer = curl_slist_append(attempt->headers, line);
    must(longer);
    attempt->headers = longer;
}

static void set_headers(struct attempt *attempt)
{
    add_header(attempt, "Content-Type: application/json");
    add_header(attempt, "Expect:");
    for (size_t i = 0; i < POST_HEADERS_MAX && attempt->post->headers[i]; i++)
        add_header(attempt, attempt->post->headers[i]);
    curl_easy_setopt(attempt->easy, CURLOPT_HTTPHEADER, attempt->headers);
}

/* False: libcurl does not accept the URL. */
static bool set_target(CURL *easy, const struct post *post)
{
    must(curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK);
    must(curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK);
    if (post->ca_file[0])
        curl_easy_setopt(easy, CURLOPT_CAINFO, post->ca_file);
    return curl_easy_setopt(easy, CURLOPT_URL, post->url) == CURLE_OK;
}

static void set_transfer(struct attempt *attempt)
{
    CURL *easy = attempt->easy;
    const struct post *post = attempt->post;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(post->body));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, post->body);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)post->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "tailslate-verifier/" TAILSLATE_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, attempt->reason);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, attempt);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, post);
}

static int64_t retry_after_of(CURL *easy)
{
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0)
        return -1;
    return seconds > TAILSLATE_RETRY_AFTER_MAX_MS / 1000 ? TAILSLATE_RETRY_AFTER_MAX_MS
                                                         : seconds * 1000;
}

static void read_answer(struct attempt *attempt, CURLcode code, struct post_answer *answer)
{
    if (code == CURLE_OK || attempt->is_cut) {
        curl_easy_getinfo(attempt->easy, CURLINFO_RESPONSE_CODE, &answer->status);
        answer->retry_after_ms = retry_after_of(attempt->easy);
    }
    if (answer->status == 0)
        snprintf(answer->reason, sizeof answer->reason, "%s",
                 attempt->reason[0] ? attempt->reason : curl_easy_strerror(code));
}

void post_send(const struct post *post, struct post_answer *answer)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    must(pthread_once(&once, init_once) == 0);
    struct attempt attempt = {.post = post, .easy = curl_easy_init()};
    must(attempt.easy);
    *answer = (struct post_answer){.retry_after_ms = -1};
    set_headers(&attempt);
    set_transfer(&attempt);
    CURLcode code = set_target(attempt.easy, post) ? curl_easy_perform(attempt.easy)
                                                   : CURLE_URL_MALFORMAT;
    read_answer(&attempt, code, answer);
    curl_easy_cleanup(attempt.easy);
    curl_slist_free_all(attempt.headers);
}
