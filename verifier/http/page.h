/* page: the page for operators, one HTML file (page/index.html) that is built into the program.
 * Each
 * `{{nonce}}` in it is replaced in every answer. */
#ifndef VERIFIER_PAGE_H
#define VERIFIER_PAGE_H

extern const char page_html[]; /* ends in NUL */

#endif
