#include "verifier/http/openapi.h"

#include "lib/cleanup.h"
#include "lib/json.h"
#include "verifier/http/routes.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 128, STATUS_BYTES = 4 };

static struct json *object_of_text(const char *key, const char *value)
{
    struct json *object = json_new_object();
    json_set_text(object, key, value);
    return object;
}

static struct json *object_of(const char *key, struct json *value)
{
    struct json *object = json_new_object();
    json_set(object, key, value);
    return object;
}

/* ---- parameters ---- */

static void add_parameter(struct json *list, const char *name, const char *in, bool is_integer)
{
    struct json *parameter = json_new_object();
    json_set_text(parameter, "name", name);
    json_set_text(parameter, "in", in);
    json_set_bool(parameter, "required", strcmp(in, "path") == 0);
    json_set(parameter, "schema", object_of_text("type", is_integer ? "integer" : "string"));
    json_append(list, parameter);
}

static void add_parameters(struct json *operation, const struct route *route)
{
    struct json *list = json_new_array();
    char name[NAME_BYTES];
    for (const char *at = route->pattern; (at = strchr(at, '{')); at++) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at + 1, "}"), at + 1);
        add_parameter(list, name, "path", strcmp(name, "id") == 0);
    }
    for (const char *at = route_query(route); *at;) {
        size_t length = strcspn(at, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        add_parameter(list, name, "query", false);
        at += length + strspn(at + length, " ");
    }
    if (json_count(list) > 0)
        json_set(operation, "parameters", list);
    else
        json_free(list);
}

/* ---- body and authentication ---- */

static const char *body_type(enum route_body body)
{
    switch (body) {
    case BODY_NONE:
        return NULL;
    case BODY_TEXT:
        return "application/json";
    case BODY_RAW:
        return "application/octet-stream";
    case BODY_MULTIPART:
        return "multipart/form-data";
    }
    return NULL;
}

static void add_body(struct json *operation, const struct route *route)
{
    const char *type = body_type(route->body);
    if (!type)
        return;
    struct json *body = object_of("content", object_of(type, json_new_object()));
    json_set_int(body, "x-max-bytes", route->body_max_bytes);
    json_set(operation, "requestBody", body);
}

static void add_requirement(struct json *list, const char *scheme)
{
    json_append(list, scheme ? object_of(scheme, json_new_array()) : json_new_object());
}

static void add_security(struct json *operation, const struct route *route)
{
    struct json *list = json_new_array();
    switch (route->auth) {
    case AUTH_NONE:
        break;
    case AUTH_WORKER:
        add_requirement(list, "worker");
        break;
    case AUTH_ADMIN:
        add_requirement(list, "admin");
        break;
    case AUTH_PAGE: /* without, or with */
        add_requirement(list, NULL);
        add_requirement(list, "admin");
        break;
    }
    json_set(operation, "security", list);
}

/* ---- answers ---- */

static void add_status(struct json *responses, const char status[STATUS_BYTES], const char *words)
{
    struct json *response = object_of_text("description", words);
    if (status[0] >= '4')
        json_set(
            response, "content",
            object_of("application/problem+json",
                      object_of("schema", object_of_text("$ref", "#/components/schemas/problem"))));
    json_set(responses, status, response);
}

static void add_responses(struct json *operation, const struct route *route)
{
    struct json *responses = json_new_object();
    bool has_parameter = strchr(route->pattern, '{') || route_query(route)[0];
    add_status(responses, "200", "It is done, or here it is.");
    add_status(responses, "400", "The head or the JSON of the request cannot be read.");
    if (route->auth != AUTH_NONE) {
        add_status(responses, "401", "No valid credential.");
        add_status(responses, "403", "This credential is not allowed to do this.");
        add_status(responses, "429", "Too many requests with bad credentials from this address.");
        add_status(responses, "503", "The store cannot be used now: try again.");
    }
    if (route->auth == AUTH_WORKER)
        add_status(responses, "507", "The server has no space left: try again.");
    if (has_parameter)
        add_status(responses, "404", "There is no such thing.");
    if (has_parameter || route->body == BODY_TEXT)
        add_status(responses, "422", "A parameter or a member has a value that is not accepted.");
    if (route->body != BODY_NONE)
        add_status(responses, "413", "The body is larger than this route allows.");
    if (route->auth == AUTH_WORKER && strstr(route->pattern, "{id}"))
        add_status(responses, "409", "The claim is not the caller's, or not any more.");
    if (route->auth == AUTH_ADMIN && strstr(route->pattern, "{id}"))
        add_status(responses, "409", "The job is in a state in which this cannot be done.");
    json_set(operation, "responses", responses);
}

/* ---- the whole ---- */

/* post_api_worker_id_progress */
static void name_operation(const char *method, const char *pattern, char name[NAME_BYTES])
{
    size_t length = 0;
    for (const char *at = method; *at && length < NAME_BYTES - 1; at++)
        name[length++] = (char)tolower((unsigned char)*at);
    for (const char *at = pattern; *at && length < NAME_BYTES - 1; at++)
        if (isalnum((unsigned char)*at))
            name[length++] = *at;
        else if (name[length - 1] != '_' && at[1])
            name[length++] = '_';
    name[length] = '\0';
}

static void add_operation(struct json *path, const struct route *route, const char *method)
{
    char name[NAME_BYTES];
    struct json *operation = json_new_object();
    name_operation(method, route->pattern, name);
    json_set_text(operation, "operationId", name);
    add_parameters(operation, route);
    add_body(operation, route);
    add_security(operation, route);
    add_responses(operation, route);
    json_set(path, method, operation);
}

/* route->method: "GET, POST". */
static void add_methods(struct json *path, const struct route *route)
{
    for (const char *at = route->method; *at;) {
        size_t length = strcspn(at, ",");
        char method[NAME_BYTES];
        snprintf(method, sizeof method, "%.*s", (int)length, at);
        for (char *letter = method; *letter; letter++)
            *letter = (char)tolower((unsigned char)*letter);
        add_operation(path, route, method);
        at += length + strspn(at + length, ", ");
    }
}

/* Rows of one path follow each other or not: each path is one member. */
static struct json *paths_of_table(void)
{
    size_t count;
    const struct route *routes = routes_table(&count);
    struct json *paths = json_new_object();
    for (size_t i = 0; i < count; i++) {
        if (json_get(paths, routes[i].pattern))
            continue;
        struct json *path = json_new_object();
        for (size_t k = i; k < count; k++)
            if (strcmp(routes[k].pattern, routes[i].pattern) == 0)
                add_methods(path, &routes[k]);
        json_set(paths, routes[i].pattern, path);
    }
    return paths;
}

static struct json *scheme_of(const char *header)
{
    struct json *scheme = object_of_text("type", "apiKey");
    json_set_text(scheme, "in", "header");
    json_set_text(scheme, "name", header);
    return scheme;
}

static struct json *components(void)
{
    static const char *const members[] = {"type", "title", "detail", "code"};
    struct json *root = json_new_object(), *schemes = json_new_object();
    struct json *properties = json_new_object();
    json_set(schemes, "worker", scheme_of("X-Worker-API-Key"));
    json_set(schemes, "admin", scheme_of("X-Admin-Secret"));
    json_set(root, "securitySchemes", schemes);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        json_set(properties, members[i], object_of_text("type", "string"));
    json_set(properties, "status", object_of_text("type", "integer"));
    struct json *problem = object_of_text("type", "object");
    json_set(problem, "properties", properties);
    json_set(root, "schemas", object_of("problem", problem));
    return root;
}

char *openapi_document(void)
{
    JSON(root) = object_of_text("openapi", "3.1.0");
    struct json *info = object_of_text("title", "Tailslate verifier");
    json_set_text(info, "version", TAILSLATE_VERSION);
    json_set_text(info, "description",
                  "Made from the verifier's route table. What the members of "
                  "bodies mean is in WIRE.md.");
    json_set(root, "info", info);
    json_set(root, "paths", paths_of_table());
    json_set(root, "components", components());
    return json_print(root);
}
