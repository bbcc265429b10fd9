#include "verifier/base/slug.h"

#include <string.h>

/* Each range of characters, one word for each: its letters, how often in a row (none: once); "-": a
 * dash; "'": nothing. Other scripts have no spelling in Latin letters that is read out of a table.
 */
#define GREEK           "a v g d e z i th i k l m n x o p r"
#define CYRILLIC        "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch ' y ' e yu ya"
#define CYRILLIC_OTHERS "e e dj g ye dz i yi j lj nj c k i u dz"
static const struct {
    unsigned first;
    const char *words;
} ranges[] = {
    {0xC0, "a6 ae c e4 i4 d n o5 - o u4 y th ss a6 ae c e4 i4 d n o5 - o u4 y th y"},
    {0x100, "a6 c8 d4 e10 g8 h4 i10 ij2 j2 k3 l10 n9 o6 oe2 r6 s8 t6 u12 w2 y3 z6 s"},
    {0x1A0, "o2"},
    {0x1AF, "u2"},
    {0x218, "s2 t2"},
    {0x300, "'112"}, /* combining */
    {0x386, "a - e i2 - o - y o i " GREEK " - s t y f ch ps o i y a e i2 y"},
    {0x3B1, GREEK " s2 t y f ch ps o i y o y o"},
    {0x400, CYRILLIC_OTHERS " " CYRILLIC " " CYRILLIC " " CYRILLIC_OTHERS},
    {0x490, "g2"},
    {0x1E9E, "ss - a24 e16 i4 o24 u14 y8"}, /* of Vietnamese from the third on */
};

enum { WORD_BYTES = 8 };

/* The character at *at, which is moved behind it; an invalid byte: 0. */
static unsigned decode(const unsigned char **at)
{
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    unsigned c = *(*at)++;
    unsigned size = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (size < 2)
        return size * c;
    c -= marks[size];
    for (unsigned i = 1; i < size; i++, (*at)++) {
        if ((**at & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (**at & 0x3F);
    }
    return c;
}

/* The word of the character `index` of a range. False: the range is shorter. */
static bool word_at(const char *words, unsigned index, char word[WORD_BYTES])
{
    while (*words) {
        size_t size = strcspn(words, " "), letters = strcspn(words, " 0123456789");
        unsigned count = 0;
        for (size_t i = letters; i < size; i++)
            count = count * 10 + (unsigned)(words[i] - '0');
        count += count == 0;
        if (index < count) {
            memcpy(word, words, letters);
            word[letters] = '\0';
            return true;
        }
        index -= count;
        words += size + (words[size] == ' ');
    }
    return false;
}

static void spell(unsigned c, char word[WORD_BYTES])
{
    bool is_upper = c >= 'A' && c <= 'Z';
    bool is_plain = is_upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    word[0] = is_plain ? (char)(is_upper ? c - 'A' + 'a' : c) : '-';
    word[1] = '\0';
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i].first && word_at(ranges[i].words, c - ranges[i].first, word))
            return;
}

void slug_from_name(const char *name, char slug[SLUG_BYTES])
{
    size_t length = 0;
    const unsigned char *at = (const unsigned char *)name;
    while (*at) {
        char word[WORD_BYTES];
        spell(decode(&at), word);
        bool is_dash = word[0] == '-';
        if (word[0] == '\'' || (is_dash && (length == 0 || slug[length - 1] == '-')))
            continue;
        if (length + strlen(word) > SLUG_MAX_LENGTH)
            break;
        memcpy(slug + length, word, strlen(word));
        length += strlen(word);
    }
    while (length > 0 && slug[length - 1] == '-')
        length--;
    slug[length] = '\0';
    if (length == 0)
        memcpy(slug, "video", sizeof "video");
}

bool slug_is_valid(const char *slug)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-_.";
    size_t length = strlen(slug);
    return length > 0 && length < SLUG_BYTES && slug[0] != '.' && slug[0] != '-' &&
           strspn(slug, allowed) == length;
}
