/* preflight: what `serve` needs, found before it starts: one list for `check`, which prints it, and
 * for `serve`, which refuses by it.
 *
 * Inspects the configuration, the port, the files of TLS, the secrets and the directories. Writes
 * nothing, except that binding the port takes it for a moment. The database and Redis are not
 * asked: `serve` starts without them. */
#ifndef VERIFIER_PREFLIGHT_H
#define VERIFIER_PREFLIGHT_H

#include "base/finding.h"
#include "verifier/base/config.h"

/* config: as read by verifier_config_read. */
void preflight(const struct verifier_config *config, struct findings *findings);

#endif
