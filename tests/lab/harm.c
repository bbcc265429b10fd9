/* The clocks and disks of the programs, as preload/preload.c has them. */
#include "fleet.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

char *harm_path(const struct fleet *fleet, const char *program, int number)
{
    return rig_path(fleet->rig, "%s-%d.harm", program, number);
}

static struct harm *share(const struct fleet *fleet, const char *program, int number)
{
    TEXT(path) = harm_path(fleet, program, number);
    FD(fd) = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0 && ftruncate(fd, sizeof(struct harm)) == 0);
    void *shared = mmap(NULL, sizeof(struct harm), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(shared != MAP_FAILED);
    return shared;
}

/* What an operator runs has the clock and the disk of the first verifier. */
void harm_prepare(struct fleet *fleet)
{
    const char *options = getenv("ASAN_OPTIONS");
    TEXT(late) = must_printf("%s:verify_asan_link_order=0", options ? options : "");
    for (int i = 0; i < fleet->plan.nodes; i++)
        fleet->agent_harm[i] = share(fleet, "agent", i);
    for (int i = 0; i < fleet->plan.verifiers; i++)
        fleet->verifier_harm[i] = share(fleet, "verifier", i);
    TEXT(path) = harm_path(fleet, "verifier", 0);
    rig_set_env(fleet->rig, "ASAN_OPTIONS", late);
    rig_set_env(fleet->rig, "LD_PRELOAD", LAB_PRELOAD);
    rig_set_env(fleet->rig, HARM_VARIABLE, path);
}

void harm_clocks(struct fleet *fleet, int64_t shift_ms)
{
    struct json *line = history_line("clock");
    json_set_int(line, "shift_ms", shift_ms);
    for (int i = 0; i < fleet->plan.verifiers; i++)
        atomic_store(&fleet->verifier_harm[i]->shift_us, shift_ms * 1000);
    history_write(fleet->history, line);
}

static void heal(struct harm *harm)
{
    atomic_store(&harm->shift_us, 0);
    atomic_store(&harm->disk_left, 0);
}

void harm_heal(struct fleet *fleet)
{
    if (atomic_load(&fleet->verifier_harm[0]->shift_us) != 0)
        harm_clocks(fleet, 0);
    for (int i = 0; i < fleet->plan.nodes; i++)
        heal(fleet->agent_harm[i]);
    for (int i = 0; i < fleet->plan.verifiers; i++)
        heal(fleet->verifier_harm[i]);
}
