/* hold: the rows of all jobs, held as another client of the database would hold them. */
#ifndef LAB_HOLD_H
#define LAB_HOLD_H

struct hold;
/* postgres: a URL; NULL: the SQLite database of that path. NULL: they are not to be had now. */
struct hold *hold_rows(const char *postgres, const char *sqlite);
void hold_end(struct hold *hold); /* NULL: nothing */

#endif
