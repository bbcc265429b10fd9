/* warnings_json: a list of warnings as a JSON array. */
#ifndef TAILSLATE_WARNINGS_JSON_H
#define TAILSLATE_WARNINGS_JSON_H

#include "lib/json.h"

#include "tailslate/warnings.h"

struct json *
warnings_new_array(const struct tailslate_warnings *warnings); /* owned; NULL where none is */
void warnings_read(const struct json *array, struct tailslate_warnings *warnings); /* NULL: none */

#endif
