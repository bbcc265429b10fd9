#include "base/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum { EXIT_TEMPORARY = 75, EXIT_CONFIGURATION = 78, KEY_COLUMNS = 22 };

static void print(const struct finding *finding, FILE *out)
{
    static const char *const marks[] = {[FINDING_GOOD] = "ok",
                                        [FINDING_NOTE] = "note",
                                        [FINDING_PASSING] = "WAIT",
                                        [FINDING_BAD] = "FAIL"};
    fprintf(out, "%-4s  %-*s  %s\n", marks[finding->level], KEY_COLUMNS, finding->key,
            finding->text);
    fflush(out);
}

void finding_add(struct findings *findings, enum finding_level level, const char *key,
                 const char *hint, const char *format, ...)
{
    struct finding finding = {.level = level};
    va_list args;
    va_start(args, format);
    vsnprintf(finding.text, sizeof finding.text, format, args);
    va_end(args);
    size_t used = strlen(finding.text);
    used -= hint && used > 0 && finding.text[used - 1] == '.';
    if (hint)
        snprintf(finding.text + used, sizeof finding.text - used, "; %s", hint);
    snprintf(finding.key, sizeof finding.key, "%s", key);
    if (findings->out)
        print(&finding, findings->out);
    if (findings->count < FINDINGS_MAX)
        findings->at[findings->count++] = finding;
    if (level > findings->worst)
        findings->worst = level;
}

void finding_add_error(struct findings *findings, const char *key, const char *hint,
                       const struct error *err)
{
    bool passes = err->class == ERROR_TEMPORARY || err->code == ENOENT;
    finding_add(findings, passes ? FINDING_PASSING : FINDING_BAD, key, hint, "%s", err->message);
}

bool findings_print_refusal(const struct findings *findings, const char *program, FILE *out)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->at[i].level >= FINDING_PASSING)
            fprintf(out, "%s: %s: %s\n", program, findings->at[i].key, findings->at[i].text);
    return findings->worst >= FINDING_PASSING;
}

int findings_exit_status(const struct findings *findings)
{
    switch (findings->worst) {
    case FINDING_GOOD:
    case FINDING_NOTE:
        return 0;
    case FINDING_PASSING:
        return EXIT_TEMPORARY;
    case FINDING_BAD:
        break;
    }
    return EXIT_CONFIGURATION;
}

const struct finding *findings_worst(const struct findings *findings)
{
    if (findings->worst < FINDING_PASSING)
        return NULL;
    size_t i = 0;
    while (i < findings->count && findings->at[i].level != findings->worst)
        i++;
    must(i < findings->count); /* what forbids a start comes early in the list */
    return &findings->at[i];
}

int findings_refuse(const struct findings *findings, struct error *err)
{
    const struct finding *worst = findings_worst(findings);
    if (!worst)
        return 0;
    return error_set(err, worst->level == FINDING_BAD ? ERROR_PERMANENT : ERROR_TEMPORARY, 0,
                     "%s: %s", worst->key, worst->text);
}
