#include "base/table.h"
#include "base/text.h"
#include "lib/cleanup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(text, is_measured_in_columns_whatever_its_script)
{
    static const struct {
        const char *text;
        int columns;
    } cases[] = {
        {"", 0},
        {"film", 4},
        {"Ä", 1},
        {"A\xcc\x88", 1},        /* with a combining diaeresis */
        {"映画", 4},             /* two of two columns */
        {"\xf0\x9f\x8e\xac", 2}, /* a clapper board */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(text_width(cases[i].text), cases[i].columns, "%s", cases[i].text);
}

Test(text, loses_whatever_a_terminal_obeys)
{
    TEXT(plain) = text_plain("a\x1b[2Jb\xc2\x9b"
                             "31mc\nd\x7f\xff\xe2\x80\xae");
    cr_expect_str_eq(plain, "a?[2Jb?31mc?d???");
    TEXT(document) = text_plain_document("{\n\t\"a\":\t\"\x1b\xc2\x9b\"}");
    cr_expect_str_eq(document, "{\n \"a\": \"??\"}");
}

static char *wrapped(const char *plain, int at, int indent, int columns)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    text_wrap(out, plain, at, indent, columns);
    fclose(out);
    return text;
}

Test(text, goes_on_below_where_a_line_ends)
{
    static const struct {
        const char *plain;
        int at, columns;
        const char *lines;
    } cases[] = {
        {"one two three", 0, 0, "one two three"},
        {"one two three", 0, 13, "one two three"},
        {"one two three", 0, 12, "one two\n  three"},
        {"one  two", 0, 6, "one\n  two"},
        {"one", 8, 10, "\n  one"},                      /* no column behind what is there */
        {"abcdefghijkl", 0, 6, "abcdef\n  ghij\n  kl"}, /* a word of no line */
        {"映画映画", 0, 5, "映画\n  映\n  画"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TEXT(text) = wrapped(cases[i].plain, cases[i].at, 2, cases[i].columns);
        cr_expect_str_eq(text, cases[i].lines, "%zu: %s", i, text);
    }
}

static char *printed(enum table_kind kind, int columns)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct table *table = table_new((const char *const[]){"A", "B", "LAST"}, 3, kind);
    table_row(table, (const char *const[]){"1", "映画", "one two three four five"});
    table_note(table, "a note of eight words that goes below");
    table_print(table, columns, out);
    table_free(table);
    fclose(out);
    return text;
}

Test(table, aligns_by_columns_and_cuts_or_wraps_its_end)
{
    TEXT(whole) = printed(TABLE_CUT, 0);
    cr_expect_str_eq(whole, "A  B     LAST\n1  映画  one two three four five\n"
                            "    a note of eight words that goes below\n");
    TEXT(cut) = printed(TABLE_CUT, 20);
    cr_expect_str_eq(cut, "A  B     LAST\n1  映画  one two th…\n    a note of eight…\n", "%s", cut);
    TEXT(below) = printed(TABLE_WRAPPED, 20);
    cr_expect_str_eq(below,
                     "A  B\n    LAST\n1  映画\n    one two three\n    four five\n"
                     "    a note of eight\n    words that goes\n    below\n",
                     "%s", below);
}
