#include "base/message.h"
#include "lib/message_fields.h"

#include <stdio.h>

/* Ours is a string; a stock server's validation error is an array of objects with a `msg`. */
static const char *detail_text(const struct json *root)
{
    const struct json *detail = json_get(root, "detail");
    if (!json_is_array(detail))
        return json_text(detail);
    const struct json *first = json_first(detail);
    const char *text = json_text(json_get(first, "msg"));
    return text ? text : json_text(first);
}

void message_problem_parse(const char *body, size_t size, struct message_problem *problem)
{
    struct error ignored;
    *problem = (struct message_problem){.problem = TAILSLATE_PROBLEM_NONE};
    JSON(root) = json_parse(body, size, &ignored);
    const char *code = json_text(json_get(root, "code"));
    const char *detail = detail_text(root);
    if (code)
        problem->problem = tailslate_problem_from_code(code);
    if (detail)
        text_cut(problem->detail, sizeof problem->detail, detail);
    const struct json *list = json_get(root, "qualities");
    if (!json_is_array(list))
        return;
    for (const struct json *at = json_first(list); at; at = json_next(at)) {
        enum tailslate_quality quality;
        if (json_text(at) && tailslate_quality_parse(json_text(at), &quality))
            problem->missing |= 1u << quality;
    }
}

char *message_problem_format(enum tailslate_problem problem, const char *detail,
                             tailslate_quality_set missing)
{
    char type[64];
    snprintf(type, sizeof type, "urn:tailslate:problem:%s", tailslate_problem_code(problem));
    struct json *root = json_new_object();
    json_set_text(root, "type", type);
    json_set_text(root, "title", tailslate_problem_title(problem));
    json_set_int(root, "status", tailslate_problem_status(problem));
    json_set_text(root, "detail", detail ? detail : tailslate_problem_title(problem));
    json_set_text(root, "code", tailslate_problem_code(problem));
    if (missing)
        put_qualities(root, "qualities", missing);
    return message_close(root);
}
