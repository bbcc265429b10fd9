/* openapi: the API in OpenAPI 3.1, made from the route table: paths, methods, parameters,
 * authentication, the largest bodies, and the status codes that follow from these. What members
 * mean is in docs/WIRE.md. */
#ifndef VERIFIER_OPENAPI_H
#define VERIFIER_OPENAPI_H

char *openapi_document(void); /* owned */

#endif
