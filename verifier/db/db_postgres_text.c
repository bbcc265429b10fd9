/* How PostgreSQL writes what the rest of the house writes otherwise. */
#include "verifier/db/db_postgres.h"

#include <stdio.h>
#include <string.h>

void postgres_one_line(const char *message, char text[POSTGRES_REASON_BYTES])
{
    size_t length = 0;
    for (; *message && length < POSTGRES_REASON_BYTES - 1; message++)
        if (*message != '\n' && *message != '\t')
            text[length++] = *message;
        else if (length > 0 && text[length - 1] != ' ')
            text[length++] = ' ';
    while (length > 0 && text[length - 1] == ' ')
        length--;
    text[length] = '\0';
}

int64_t postgres_integer(const char *text)
{
    bool is_negative = *text == '-';
    int64_t value = 0; /* negative all the way, where there is room for one more */
    for (text += is_negative; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *text - '0', &value))
            return is_negative ? INT64_MIN : INT64_MAX;
    return is_negative ? value : value == INT64_MIN ? INT64_MAX : -value;
}

const char *postgres_time(const char *value, bool has_offset, char text[WALL_TEXT_BYTES])
{
    char full[WALL_TEXT_BYTES + 8];
    int64_t us;
    snprintf(full, sizeof full, "%s%s", value, has_offset ? ":00" : "+00:00");
    if (!wall_parse(full, &us))
        return value; /* infinity */
    wall_format(us, text);
    return text;
}

char *postgres_sql(const char *sql)
{
    char *text = must_strdup(sql);
    for (char *mark = text; (mark = strpbrk(mark, "/*")) != NULL; mark++)
        if ((mark[0] == '/' && mark[1] == '*') || (mark[0] == '*' && mark[1] == '/'))
            mark[0] = mark[1] = ' ';
    return text;
}
