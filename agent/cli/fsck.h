/* fsck: `spool fsck [--repair]`: checks that the spool is what its records say.
 *
 * Parses every file of every record. The files must match a state, and the reports must match the
 * claim. For finished work each uploaded file must be unchanged and each rendition complete.
 * Read-only, also while an agent is running: of a record that a step is working on only the format
 * is checked, and a record that changes meanwhile is checked again. --repair requests quarantine
 * for records that cannot be read, deletes incorrect upload records (their files are uploaded
 * again) and, if no agent is running, removes temporary files. Never deletes what may be finished
 * work.
 *
 * Exit status: 0 clean (or all repaired), 65 findings. */
#ifndef AGENT_FSCK_H
#define AGENT_FSCK_H

#include "agent/base/config.h"

int fsck_run(const struct config *config, bool repairs);

#endif
