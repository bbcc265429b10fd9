/* fsck: `spool fsck [--repair]`: is the spool what its records say?
 *
 * Every file of every record is parsed, its set must make a state, its reports must fit its claim,
 * and where the work is finished each file that was uploaded must still be what was uploaded and
 * each rendition whole. Read-only, beside a running agent too: a record that a step works on is
 * looked at for its form alone, and what changes under the look is looked at again. --repair orders
 * into quarantine what cannot be read, forgets upload records that are wrong (those files go
 * again), and, where no agent runs, sweeps leftovers. Never deletes what may be finished work.
 *
 * Exit status: 0 clean (or all repaired), 65 findings. */
#ifndef AGENT_FSCK_H
#define AGENT_FSCK_H

#include "agent/base/config.h"

int fsck_run(const struct config *config, bool repairs);

#endif
