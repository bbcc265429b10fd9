/* settings: a libconfig file of a test, from "group.name" and value. The last value of a key wins.
 */
#ifndef SUPPORT_SETTINGS_H
#define SUPPORT_SETTINGS_H

#include "rig.h"

void settings_set(struct settings *settings, const char *key, const char *value);
/* value in quotes */
void settings_set_text(struct settings *settings, const char *key, const char *text);
void settings_write(const struct settings *settings, const char *path);

#endif
