#include "agent/api/explain.h"

#include <stdio.h>

#define CHECK_URL    "check server.url, and what is between this node and the server"
#define CHECK_SERVER "see `tailslate-verifier status` and the verifier's log"

static const struct {
    const char *what, *hint;
} texts[TAILSLATE_ANSWER_CLASS_COUNT] = {
    [TAILSLATE_ANSWER_UNREACHED] = {"the server cannot be reached",
                                    "check that the verifier is running, server.url, the network"},
    [TAILSLATE_ANSWER_UNTRUSTED] = {"the server's certificate is not trusted",
                                    "check server.ca_file, the host in server.url and the "
                                    "certificate"},
    [TAILSLATE_ANSWER_LOCAL_FAILURE] = {"this node cannot send or receive a file",
                                        "see the agent's log"},
    [TAILSLATE_ANSWER_OK] = {"the answer is not a verifier's", CHECK_URL},
    [TAILSLATE_ANSWER_OTHER_SUCCESS] = {"the answer is not a verifier's", CHECK_URL},
    [TAILSLATE_ANSWER_KEY_REFUSED] = {"the server refuses this worker's key",
                                      "put a valid key into server.api_key_file; it is read again"},
    [TAILSLATE_ANSWER_NOT_YOURS] = {"the server says that this worker never held the job",
                                    "check whether the key is another worker's"},
    [TAILSLATE_ANSWER_JOB_UNKNOWN] = {"the server does not know this job",
                                      "check whether its database was restored or replaced"},
    [TAILSLATE_ANSWER_CLAIM_LOST] = {"the claim is superseded", NULL},
    [TAILSLATE_ANSWER_JOB_GONE] = {"the job is no longer wanted", NULL},
    [TAILSLATE_ANSWER_INVALID] = {"the server cannot accept the request", CHECK_SERVER},
    [TAILSLATE_ANSWER_INVALID_FIELD] = {"the server cannot accept a value", CHECK_SERVER},
    [TAILSLATE_ANSWER_OUTPUT_MISSING] = {"files of the output are not on the server", NULL},
    [TAILSLATE_ANSWER_NO_SUCH_RANGE] = {"the source on the server has changed", NULL},
    [TAILSLATE_ANSWER_WRONG_URL] = {"the server has nothing at this path", CHECK_URL},
    [TAILSLATE_ANSWER_STOCK_NOT_YOURS] = {"the server says that the claim is over", NULL},
    [TAILSLATE_ANSWER_STOCK_CLAIM_LOST] = {"the server says that the claim is over", NULL},
    [TAILSLATE_ANSWER_STOCK_JOB_UNKNOWN] = {"the server does not know this job",
                                            "check whether its database was restored or replaced"},
    [TAILSLATE_ANSWER_STOCK_REFUSED] = {"the server refuses the request", CHECK_SERVER},
    [TAILSLATE_ANSWER_PROXY_FORBIDDEN] = {"access is refused before the server", CHECK_URL},
    [TAILSLATE_ANSWER_PROXY_REFUSED] = {"the request is refused before the server", CHECK_URL},
    [TAILSLATE_ANSWER_LIMITED] = {"the server limits the rate of requests",
                                  "check the key, and the limits of the server and its proxy"},
    [TAILSLATE_ANSWER_TIMED_OUT] = {"the server gave up waiting for the request",
                                    "check the network"},
    [TAILSLATE_ANSWER_SERVER_FULL] = {"the server has no space left",
                                      "free space on the server, for its database and its videos"},
    [TAILSLATE_ANSWER_SERVER_FAILING] = {"the server cannot work now", CHECK_SERVER},
    [TAILSLATE_ANSWER_UNEXPECTED] = {"the answer is not a verifier's", CHECK_URL},
};

/* More than the class can say. */
static const char *const troubles[HTTP_TROUBLE_COUNT] = {
    [HTTP_CERTIFICATE_OVER] = "renew the server's certificate, or set this node's clock",
    [HTTP_CERTIFICATE_HOST] = "use a host in server.url that the server's certificate names",
    [HTTP_CERTIFICATE_AUTHORITY] = "set server.ca_file to the certificate of the server's authority"
                                   " (or its own, if self-signed)",
    [HTTP_NO_TLS] = "check that the verifier is running; if it has no certificate, use http:// in"
                    " server.url",
    [HTTP_NO_BYTE] = "check that the verifier is running; if it has a certificate, use https:// in"
                     " server.url",
};

void explain_answer(const struct http_answer *answer, char text[EXPLAIN_BYTES])
{
    enum tailslate_answer_class class = http_answer_class(answer);
    struct tailslate_answer facts = http_answer_facts(answer);
    const char *code = tailslate_problem_code(tailslate_answer_known_problem(&facts));
    /* The detail of a full server says no more than its class. */
    const char *detail = class == TAILSLATE_ANSWER_SERVER_FULL ? "" : answer->problem.detail;
    if (answer->reach != TAILSLATE_REACH_ANSWERED)
        snprintf(text, EXPLAIN_BYTES, "%s: %.180s", texts[class].what, answer->error.message);
    else
        snprintf(text, EXPLAIN_BYTES, "%s: HTTP %ld%s%s%s%.140s", texts[class].what, answer->status,
                 code[0] ? " " : "", code, detail[0] ? ": " : "", detail);
}

const char *explain_hint(const struct http_answer *answer)
{
    const char *hint = troubles[answer->trouble];
    return answer->reach != TAILSLATE_REACH_ANSWERED && hint
               ? hint
               : texts[http_answer_class(answer)].hint;
}
