/* lab_check DIRECTORY: what a run of the laboratory left behind, judged by the promises. Exit
 * status: 0 they held; 1 they did not, a line each; 65 the directory is not that of a run. */
#include "check.h"

#include <string.h>

enum { EXIT_USE = 64, EXIT_DATA = 65 };

static int count_calls(const struct evidence *evidence, const char *what)
{
    int count = 0;
    EACH_LINE(evidence, line, "call", what)
    count++;
    return count;
}

/* Of faults that were done: all, or those whose name begins so. */
static int count_faults(const struct evidence *evidence, const char *begin)
{
    int count = 0;
    EACH_LINE(evidence, line, "fault", NULL)
    count += flag(line, "done") && strncmp(text(line, "fault"), begin, strlen(begin)) == 0;
    return count;
}

static int count_rows(const struct evidence *evidence, const char *table)
{
    return json_count(json_get(evidence->database, table));
}

int main(int argc, char **argv)
{
    struct evidence evidence;
    if (argc != 2)
        return fputs("usage: lab_check DIRECTORY\n", stderr), EXIT_USE;
    if (evidence_read(&evidence, argv[1], stdout) != 0)
        return EXIT_DATA;
    check_all(&evidence);
    int rounds = 0;
    EACH_LINE(&evidence, line, "round", NULL)
    rounds++;
    printf("checked\t%d rounds, %d faults, %d kills, %d calls, %d completions presented, %d jobs, "
           "%d completions, %d "
           "failures, "
           "%d complaints\n",
           rounds, count_faults(&evidence, ""),
           count_faults(&evidence, "kill") + count_faults(&evidence, "crash"),
           count_calls(&evidence, NULL), count_calls(&evidence, "complete"),
           count_rows(&evidence, "transcoding_jobs"), count_rows(&evidence, "completions"),
           count_rows(&evidence, "failures"), evidence.complaints);
    int complaints = evidence.complaints;
    evidence_fini(&evidence);
    return complaints > 0;
}
