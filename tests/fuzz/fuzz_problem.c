#include "base/message.h"
#include "fuzz.h"
#include "lib/cleanup.h"

#include <string.h>

static void check(const struct message_problem *problem)
{
    must(problem->problem < TAILSLATE_PROBLEM_COUNT);
    must(memchr(problem->detail, '\0', sizeof problem->detail));
    for (const char *at = problem->detail; *at; at++)
        must((unsigned char)*at >= ' ' && *at != 0x7f);
    must(problem->missing < 1u << TAILSLATE_QUALITY_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message_problem problem, again;
    message_problem_parse((const char *)data, size, &problem);
    check(&problem);
    if (problem.problem == TAILSLATE_PROBLEM_NONE)
        return 0;
    TEXT(body) = message_problem_format(problem.problem, problem.detail, problem.missing);
    message_problem_parse(body, strlen(body), &again);
    must(again.problem == problem.problem && again.missing == problem.missing);
    must(strcmp(again.detail, problem.detail) == 0);
    return 0;
}
