/* handler: what the handlers of all routes share. */
#ifndef VERIFIER_HANDLER_H
#define VERIFIER_HANDLER_H

#include "verifier/http/answer.h"
#include "verifier/store/store_job.h"

/* Answers one request: afterwards answer->status is set. */
typedef void route_handler(struct request *request, struct answer *answer);

struct store_caller route_caller(const struct request *request);
/* The caller's standing on the job of video {id}. True: the caller holds the claim, or completed
 * the job (the handler decides what is then allowed). False: the request is answered. */
bool route_read_job(struct request *request, struct answer *answer,
                    enum tailslate_standing *standing, struct store_job *job);
/* The body as an object, owned; an empty body is an empty object. NULL: the request is answered. */
struct json *route_body_object(const struct request *request, struct answer *answer);
/* [sha256:]<64 hexadecimal digits>, converted to lower case. False also for NULL. */
bool route_parse_checksum(const char *text, char hex[HASH_HEX_BYTES]);

#endif
