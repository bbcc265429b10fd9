/* handler: what the handlers of all routes share. */
#ifndef VERIFIER_HANDLER_H
#define VERIFIER_HANDLER_H

#include "verifier/http/answer.h"
#include "verifier/store/store_job.h"

/* Answers one request: afterwards answer->status is set. */
typedef void route_handler(struct request *request, struct answer *answer);

struct store_caller route_caller(const struct request *request);
/* Who calls about the video {id}, and what is its job? True where the claim is the caller's, or the
 * job was completed by it (what then may still be done is the handler's matter); else answered. */
bool route_read_job(struct request *request, struct answer *answer,
                    enum tailslate_standing *standing, struct store_job *job);
/* [sha256:]<64 hexadecimal digits>, to lower case. NULL is none. */
bool route_parse_checksum(const char *text, char hex[HASH_HEX_BYTES]);

#endif
