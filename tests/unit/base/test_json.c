#include "lib/cleanup.h"
#include "lib/json.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static struct json *parse(const char *text)
{
    struct error err = {.message = ""};
    struct json *root = json_parse(text, strlen(text), &err);
    cr_assert(root, "%s: %s", text, err.message);
    return root;
}

static void expect_refused(const char *text, size_t size)
{
    struct error err = {.message = ""};
    struct json *root = json_parse(text, size, &err);
    cr_expect_null(root, "taken: %.*s", (int)(size < 80 ? size : 80), text);
    cr_expect_neq(err.message[0], '\0', "no reason given for: %.80s", text);
    cr_expect_str_neq(err.message, "JSON: not readable", "only cJSON refused: %.80s", text);
    cr_expect_eq(err.class, ERROR_PERMANENT);
    json_free(root);
}

/* count times open, then middle, then count times close. */
static char *nested(int count, const char *open, const char *middle, const char *close)
{
    size_t size = (size_t)count * (strlen(open) + strlen(close)) + strlen(middle) + 1;
    char *text = must_malloc(size);
    char *at = text;
    for (int i = 0; i < count; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, middle);
    for (int i = 0; i < count; i++)
        at = stpcpy(at, close);
    return text;
}

Test(json, acceptable_text_is_printed_back_in_one_line)
{
    static const char *const pairs[][2] = {
        {" {\"a\" : [ 1 , 2.50 , true,false,null ] }\r\n\t", "{\"a\":[1,2.5,true,false,null]}"},
        {"{}", "{}"},
        {"[]", "[]"},
        {"\"\\u00fc\\n\\\"\\\\\\/\"", "\"\xc3\xbc\\n\\\"\\\\/\""},
        {"\"\\ud83c\\udfac\"", "\"\xf0\x9f\x8e\xac\""},
        {"\"\\\\u0000\"", "\"\\\\u0000\""},
        {"1.25e1", "12.5"},
        {"-0", "0"},
        {"{\"\":1,\"A\":2,\"a\":3}", "{\"\":1,\"A\":2,\"a\":3}"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        JSON(root) = parse(pairs[i][0]);
        TEXT(printed) = json_print(root);
        cr_expect_str_eq(printed, pairs[i][1]);
    }
}

Test(json, what_is_no_json_is_refused)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "[1 2]",
        "[,1]",
        "[1}",
        "tru",
        "TRUE",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "\"",
        "\"a",
        "\"\\x41\"",
        "\"\\\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x10",
        "--1",
        "-01",
        "1_000",
        "// a\n1",
        "/**/1",
        "\xef\xbb\xbf{}",
        "<html></html>",
        "\f1",
        "\v1",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        expect_refused(texts[i], strlen(texts[i]));
}

Test(json, anything_behind_the_value_is_refused)
{
    static const char *const texts[] = {"{}x", "{}{}",      "1 2",       "[] ]",
                                        "{},", "null null", "\"a\"\"b\""};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        expect_refused(texts[i], strlen(texts[i]));
    expect_refused("{}\0", 3);
}

/* cJSON would cut the string there, and let what stands before it pass. */
Test(json, a_nul_is_refused_in_every_disguise)
{
    expect_refused("\"a\0b\"", 5);
    expect_refused("\0", 1);
    expect_refused("{\"a\0\":1}", 8);
    static const char *const texts[] = {"\"\\u0000\"", "\"a\\u0000b\"", "{\"a\\u0000\":1}",
                                        "\"\\\\\\u0000\"", "[[\"\\u0000\"]]"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        expect_refused(texts[i], strlen(texts[i]));
}

Test(json, an_escaped_backslash_before_u0000_is_no_nul)
{
    JSON(root) = parse("{\"a\":\"\\\\u0000\",\"b\":\"\\\\\\\\u0000\"}");
    const char *text;
    cr_assert_eq(json_get_text(root, "a", 100, &text), JSON_FOUND);
    cr_expect_str_eq(text, "\\u0000");
    cr_assert_eq(json_get_text(root, "b", 100, &text), JSON_FOUND);
    cr_expect_str_eq(text, "\\\\u0000");
}

Test(json, invalid_utf8_is_refused)
{
    static const char *const texts[] = {
        "\"\x80\"",             /* a continuation alone */
        "\"\xc3\"",             /* cut by the quote */
        "\"\xc3",               /* cut by the end */
        "\"\xc0\xaf\"",         /* overlong slash */
        "\"\xc1\xbf\"",         /* overlong */
        "\"\xe0\x9f\xbf\"",     /* overlong, three bytes */
        "\"\xf0\x8f\xbf\xbf\"", /* overlong, four bytes */
        "\"\xed\xa0\x80\"",     /* a surrogate, encoded */
        "\"\xf4\x90\x80\x80\"", /* past U+10FFFF */
        "\"\xf5\x80\x80\x80\"", /* no first byte */
        "\"\xff\"",             /* no byte of UTF-8 */
        "\"\xe2\x82\"",         /* two of three */
        "{\"\xff\":1}",         /* in a key */
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        expect_refused(texts[i], strlen(texts[i]));
}

Test(json, the_corners_of_utf8_are_taken)
{
    static const char *const texts[] = {
        "\"\x7f\"",         "\"\xc2\x80\"",     "\"\xdf\xbf\"",         "\"\xe0\xa0\x80\"",
        "\"\xed\x9f\xbf\"", "\"\xef\xbf\xbf\"", "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\""};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        JSON(root) = parse(texts[i]);
        TEXT(printed) = json_print(root);
        cr_expect_str_eq(printed, texts[i]);
    }
}

Test(json, a_lone_surrogate_is_refused)
{
    static const char *const texts[] = {
        "\"\\ud800\"",        "\"\\udc00\"",        "\"\\ud800x\"",
        "\"\\ud800\\n\"",     "\"\\ud800\\ud800\"", "\"\\udbff\\u0041\"",
        "\"\\udfff\\ud800\"", "\"\\ud800\\udbff\"", "\"\\ud800\\"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        expect_refused(texts[i], strlen(texts[i]));
}

Test(json, a_raw_control_byte_in_a_string_is_refused)
{
    for (char byte = 1; byte < ' '; byte++) {
        char text[] = {'"', byte, '"', '\0'};
        expect_refused(text, 3);
    }
}

Test(json, nesting_is_bounded)
{
    TEXT(deepest) = nested(JSON_MAX_DEPTH, "[", "1", "]");
    JSON(root) = parse(deepest);
    cr_expect_eq(json_count(root), 1);
    TEXT(lists) = nested(JSON_MAX_DEPTH + 1, "[", "1", "]");
    expect_refused(lists, strlen(lists));
    TEXT(objects) = nested(JSON_MAX_DEPTH + 1, "{\"a\":", "1", "}");
    expect_refused(objects, strlen(objects));
    TEXT(open) = nested(500000, "[", "", "");
    expect_refused(open, strlen(open));
}

Test(json, siblings_are_no_depth)
{
    TEXT(lists) = nested(40, "[[1],{\"a\":[]}],", "[]", "");
    TEXT(body) = must_printf("[%s]", lists);
    JSON(root) = parse(body);
    cr_expect_eq(json_count(root), 41);
}

Test(json, size_is_bounded)
{
    char *text = must_malloc(JSON_MAX_BYTES + 1);
    memset(text, 'a', JSON_MAX_BYTES + 1);
    text[0] = text[JSON_MAX_BYTES - 1] = '"';
    struct error err;
    JSON(root) = json_parse(text, JSON_MAX_BYTES, &err);
    cr_expect(root);
    text[JSON_MAX_BYTES - 1] = 'a';
    text[JSON_MAX_BYTES] = '"';
    expect_refused(text, JSON_MAX_BYTES + 1);
    free(text);
}

Test(json, the_number_of_values_is_bounded)
{
    TEXT(most) = nested(JSON_MAX_NODES - 2, "1,", "1", "");
    TEXT(taken) = must_printf("[%s]", most);
    JSON(root) = parse(taken);
    cr_expect_eq(json_count(root), JSON_MAX_NODES - 1);
    TEXT(refused) = must_printf("[1,%s]", most);
    expect_refused(refused, strlen(refused));
}

Test(json, a_member_twice_is_refused_at_any_depth)
{
    static const char *const texts[] = {
        "{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":2,\"c\":3,\"a\":4}",     "{\"a\":1,\"\\u0061\":2}",
        "{\"\":1,\"\":2}",   "[{\"a\":{\"b\":[{\"x\":1,\"x\":2}]}}]", "{\"a\":null,\"a\":1}"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        expect_refused(texts[i], strlen(texts[i]));
}

Test(json, a_number_that_no_double_holds_is_refused)
{
    static const char *const texts[] = {"1e400", "-1e400", "[1e309]", "{\"a\":1e999999999}"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        expect_refused(texts[i], strlen(texts[i]));
    TEXT(longest) = nested(63, "1", "", "");
    JSON(root) = parse(longest);
    cr_expect_not(json_is_array(root));
    TEXT(longer) = nested(64, "1", "", "");
    expect_refused(longer, strlen(longer));
}

Test(json, integers_are_exact_up_to_two_to_the_53rd)
{
    static const int64_t values[] = {0,
                                     1,
                                     -1,
                                     2147483647,
                                     2147483648,
                                     -2147483649,
                                     4294967296,
                                     999999999999999,
                                     9007199254740991,
                                     9007199254740992,
                                     -9007199254740991,
                                     -9007199254740992};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        JSON(root) = json_new_object();
        json_set_int(root, "n", values[i]);
        TEXT(printed) = json_print(root);
        TEXT(expected) = must_printf("{\"n\":%lld}", (long long)values[i]);
        cr_expect_str_eq(printed, expected);
        JSON(again) = parse(printed);
        int64_t read = 42;
        cr_expect_eq(json_get_int(again, "n", INT64_MIN, INT64_MAX, &read), JSON_FOUND);
        cr_expect_eq(read, values[i]);
    }
}

Test(json, doubles_are_read_back_as_they_were)
{
    static const double values[] = {0.1,
                                    1.0 / 3,
                                    12.5,
                                    1e300,
                                    5e-324,
                                    DBL_MAX,
                                    DBL_MIN,
                                    0.30000000000000004,
                                    1e21,
                                    -2.5e-7,
                                    123456789.123456789,
                                    9007199254740993e3};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        JSON(root) = json_new_object();
        json_set_number(root, "n", values[i]);
        TEXT(printed) = json_print(root);
        JSON(again) = parse(printed);
        double read = 0;
        cr_expect_eq(json_get_number(again, "n", -DBL_MAX, DBL_MAX, &read), JSON_FOUND);
        cr_expect(read == values[i], "%s", printed);
    }
}

Test(json, numbers_survive_a_copy_and_a_second_print)
{
    JSON(root) = parse("{\"a\":[9007199254740991,0.1,[1e21]]}");
    JSON(copy) = json_copy(json_get(root, "a"));
    TEXT(first) = json_print(copy);
    TEXT(second) = json_print(copy);
    cr_expect_str_eq(first, "[9007199254740991,0.1,[1e+21]]");
    cr_expect_str_eq(second, first);
}

Test(json, an_integer_is_integral_and_in_its_range)
{
    JSON(root) = parse("{\"a\":1e40,\"b\":-1e40,\"c\":1.5,\"d\":\"1\",\"e\":true,\"f\":5.0,"
                       "\"g\":9007199254740994,\"h\":[1],\"i\":1e1}");
    static const char *const wrong[] = {"a", "b", "c", "d", "e", "g", "h"};
    int64_t value = 42;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        cr_expect_eq(json_get_int(root, wrong[i], INT64_MIN, INT64_MAX, &value), JSON_WRONG, "%s",
                     wrong[i]);
    cr_expect_eq(value, 42, "a wrong one wrote its output");
    cr_expect_eq(json_get_int(root, "f", 5, 5, &value), JSON_FOUND);
    cr_expect_eq(value, 5);
    cr_expect_eq(json_get_int(root, "f", 6, 7, &value), JSON_WRONG);
    cr_expect_eq(json_get_int(root, "f", 3, 4, &value), JSON_WRONG);
    cr_expect_eq(json_get_int(root, "i", 0, 10, &value), JSON_FOUND);
    cr_expect_eq(value, 10);
}

Test(json, null_is_the_same_as_absent)
{
    JSON(root) = parse("{\"a\":null}");
    int64_t number = 42;
    bool flag = true;
    const char *text = "x";
    cr_expect_null(json_get(root, "a"));
    cr_expect_eq(json_get_int(root, "a", 0, 9, &number), JSON_ABSENT);
    cr_expect_eq(json_get_int(root, "b", 0, 9, &number), JSON_ABSENT);
    cr_expect_eq(json_get_bool(root, "a", &flag), JSON_ABSENT);
    cr_expect_eq(json_get_text(root, "a", 9, &text), JSON_ABSENT);
    cr_expect_eq(number, 42);
    cr_expect(flag);
    cr_expect_str_eq(text, "x");
}

Test(json, other_types_are_wrong)
{
    JSON(root) = parse("{\"n\":1,\"t\":\"true\",\"b\":true,\"s\":\"1\"}");
    int64_t number;
    double real;
    bool flag;
    const char *text;
    cr_expect_eq(json_get_number(root, "s", 0, 9, &real), JSON_WRONG);
    cr_expect_eq(json_get_int(root, "b", 0, 9, &number), JSON_WRONG);
    cr_expect_eq(json_get_bool(root, "n", &flag), JSON_WRONG);
    cr_expect_eq(json_get_bool(root, "t", &flag), JSON_WRONG);
    cr_expect_eq(json_get_text(root, "n", 9, &text), JSON_WRONG);
    cr_expect_eq(json_get_text(root, "b", 9, &text), JSON_WRONG);
}

Test(json, text_is_bounded_in_bytes)
{
    JSON(root) = parse("{\"a\":\"\xc3\xbc\xc3\xbc\"}");
    const char *text;
    cr_expect_eq(json_get_text(root, "a", 3, &text), JSON_WRONG);
    cr_expect_eq(json_get_text(root, "a", 4, &text), JSON_FOUND);
}

Test(json, looking_into_what_is_no_container_finds_nothing)
{
    JSON(root) = parse("[\"a\"]");
    cr_expect_null(json_get(root, "a"));
    cr_expect_null(json_get(NULL, "a"));
    cr_expect_null(json_get(json_at(root, 0), "a"));
    cr_expect_null(json_at(root, 1));
    cr_expect_null(json_at(root, -1));
    cr_expect_null(json_at(NULL, 0));
    cr_expect_null(json_first(NULL));
    cr_expect_null(json_first(json_at(root, 0)));
    cr_expect_null(json_key_at(root, 0));
    cr_expect_null(json_text(NULL));
    cr_expect_eq(json_count(NULL), 0);
    cr_expect_eq(json_count(json_at(root, 0)), 0);
    cr_expect_not(json_is_object(NULL));
    cr_expect_not(json_is_array(NULL));
}

Test(json, a_list_is_walked_in_its_order)
{
    JSON(root) = parse("{\"x\":1,\"y\":[3,4],\"z\":2}");
    cr_expect_eq(json_count(root), 3);
    cr_expect_str_eq(json_key_at(root, 2), "z");
    cr_expect_null(json_key_at(root, 3));
    int64_t sum = 0;
    for (const struct json *at = json_first(json_get(root, "y")); at; at = json_next(at)) {
        int64_t value = 0;
        cr_expect_eq(json_int(at, 0, 9, &value), JSON_FOUND);
        sum = sum * 10 + value;
    }
    cr_expect_eq(sum, 34);
}

Test(json, setting_a_member_again_replaces_it)
{
    JSON(root) = json_new_object();
    json_set_int(root, "a", 1);
    json_set_text(root, "a", "two");
    json_set(root, "b", NULL);
    json_set_bool(root, "b", false);
    TEXT(printed) = json_print(root);
    cr_expect_str_eq(printed, "{\"a\":\"two\",\"b\":false}");
}

Test(json, what_is_not_there_is_written_as_null)
{
    JSON(root) = json_new_object();
    json_set_text(root, "text", NULL);
    json_set_filled(root, "empty", "");
    json_set_filled(root, "filled", "x");
    json_set_id(root, "none", 0);
    json_set_id(root, "id", 7);
    json_set(root, "child", NULL);
    TEXT(printed) = json_print(root);
    cr_expect_str_eq(printed, "{\"text\":null,\"empty\":null,\"filled\":\"x\",\"none\":null,"
                              "\"id\":7,\"child\":null}");
}

/* A transcoder's last words may be anything; the report that quotes them must still arrive. */
Test(json, text_that_is_no_utf8_is_written_so_that_it_can_be_read)
{
    static const char *const pairs[][2] = {{"f\xfcr", "f?r"},
                                           {"\xc3", "?"},
                                           {"a\xe2\x82", "a??"},
                                           {"\xf0\x9f\x8e\xac\xff", "\xf0\x9f\x8e\xac?"},
                                           {"tab\there", "tab\there"}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        JSON(root) = json_new_object();
        json_set_text(root, "t", pairs[i][0]);
        TEXT(printed) = json_print(root);
        JSON(again) = parse(printed);
        cr_expect_str_eq(json_text(json_get(again, "t")), pairs[i][1]);
    }
}

Test(json, lists_are_built_of_anything)
{
    JSON(root) = json_new_array();
    struct json *child = json_new_object();
    json_set_number(child, "x", NAN);
    json_set_number(child, "y", INFINITY);
    json_append(root, child);
    json_append_text(root, "a\"b");
    json_append_text(root, NULL);
    json_append_int(root, 7);
    TEXT(printed) = json_print(root);
    cr_expect_str_eq(printed, "[{\"x\":null,\"y\":null},\"a\\\"b\",null,7]");
    TEXT(pretty) = json_print_pretty(root);
    JSON(again) = parse(pretty);
    TEXT(same) = json_print(again);
    cr_expect_str_eq(same, printed);
}

Test(json, every_prefix_of_a_body_is_refused)
{
    static const char body[] = "{\"qualities\":[{\"name\":\"720p\",\"width\":1280}],\"duration\":1."
                               "25e1,\"t\":\"\\ud83c\\udfac\"}";
    for (size_t size = 0; size < sizeof body - 1; size++)
        expect_refused(body, size);
}
