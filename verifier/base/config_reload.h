/* config_reload: which settings change while the server runs. Pure. */
#ifndef VERIFIER_CONFIG_RELOAD_H
#define VERIFIER_CONFIG_RELOAD_H

#include "verifier/base/config.h"

enum { CONFIG_CHANGES_BYTES = 1024 };

/* Keys as "group.name", joined by ", "; truncated. "": none. */
struct config_changes {
    char taken[CONFIG_CHANGES_BYTES];
    char waiting[CONFIG_CHANGES_BYTES]; /* for a restart */
};

/* Into current from fresh: what may change at once. The rest stays as it is and is named. */
void verifier_config_take(struct verifier_config *current, const struct verifier_config *fresh,
                          struct config_changes *changes);

#endif
