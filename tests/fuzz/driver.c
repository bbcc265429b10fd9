#include "fuzz.h"
#include "lib/cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_MAX_BYTES = 4096, SEEDS_MAX = 64, EDITS_MAX = 4, MUTATIONS = 60000 };

struct input {
    uint8_t bytes[INPUT_MAX_BYTES];
    size_t size;
};

struct seeds {
    struct input inputs[SEEDS_MAX];
    size_t count;
};

/* What JSON, tokens and playlists trip over. */
static const char *const words[] = {"\\u0000",
                                    "\\ud83c",
                                    "\\udfac",
                                    "\\u00e9",
                                    "\\\\",
                                    "\\\"",
                                    "\"",
                                    "{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    ":",
                                    "null",
                                    "true",
                                    "false",
                                    "1e40",
                                    "1e400",
                                    "-0",
                                    "0.1",
                                    "2147483648",
                                    "9007199254740993",
                                    "99999999999999999999",
                                    "\xc3\xbc",
                                    "\xff",
                                    "\xed\xa0\x80",
                                    "\n",
                                    "\x7f",
                                    "..",
                                    "/",
                                    "720p",
                                    "original",
                                    "4",
                                    "-",
                                    "A",
                                    "[[[[[[[[",
                                    "URI=\"",
                                    "#EXT-X-",
                                    "\r"};

/* The signal handler wants it: the input at hand, to be printed when the target aborts. */
static const struct input *volatile at_hand;

static void print_input(int signal_number)
{
    static const char digits[] = "0123456789abcdef";
    const struct input *input = at_hand;
    char line[2 * INPUT_MAX_BYTES + 1];
    for (size_t i = 0; i < input->size; i++) {
        line[2 * i] = digits[input->bytes[i] >> 4];
        line[2 * i + 1] = digits[input->bytes[i] & 15];
    }
    line[2 * input->size] = '\n';
    if (write(STDERR_FILENO, "the input, in hex:\n", 19) < 0 ||
        write(STDERR_FILENO, line, 2 * input->size + 1) < 0)
        _exit(70);
    (void)signal_number; /* abort ends the process when its handler returns */
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t below(uint64_t *state, size_t limit)
{
    return limit ? (size_t)((next_random(state) >> 16) % limit) : 0;
}

static void insert(struct input *input, size_t at, const void *bytes, size_t size)
{
    if (size > INPUT_MAX_BYTES - input->size)
        size = INPUT_MAX_BYTES - input->size;
    uint8_t copy[INPUT_MAX_BYTES]; /* bytes may be a part of input */
    memcpy(copy, bytes, size);
    memmove(input->bytes + at + size, input->bytes + at, input->size - at);
    memcpy(input->bytes + at, copy, size);
    input->size += size;
}

static void erase(struct input *input, size_t at, size_t size)
{
    memmove(input->bytes + at, input->bytes + at + size, input->size - at - size);
    input->size -= size;
}

static int is_wordy(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') ||
           byte == '.' || byte == '_' || byte == '-';
}

/* A whole number or name for another word: the result is often JSON still. */
static void replace_word(struct input *input, size_t at, const char *word)
{
    size_t end = at;
    while (at > 0 && is_wordy(input->bytes[at - 1]))
        at--;
    while (end < input->size && is_wordy(input->bytes[end]))
        end++;
    erase(input, at, end - at);
    insert(input, at, word, strlen(word));
}

static void edit(struct input *input, const struct seeds *seeds, uint64_t *state)
{
    size_t at = below(state, input->size + 1);
    size_t length = below(state, input->size - at + 1);
    const char *word = words[below(state, sizeof words / sizeof words[0])];
    const struct input *other = &seeds->inputs[below(state, seeds->count)];
    size_t other_at = below(state, other->size + 1);
    switch (below(state, 9)) {
    case 0:
        if (at < input->size)
            input->bytes[at] ^= (uint8_t)(1u << below(state, 8));
        break;
    case 1:
        if (at < input->size)
            input->bytes[at] = (uint8_t)next_random(state);
        break;
    case 2:
        insert(input, at, word, strlen(word));
        break;
    case 3:
        insert(input, at, input->bytes + at, length);
        break;
    case 4:
        erase(input, at, length % 16 < length ? length % 16 : length);
        break;
    case 5:
        insert(input, at, other->bytes + other_at, below(state, other->size - other_at + 1));
        break;
    case 6:
    case 7:
        replace_word(input, at, word);
        break;
    default:
        input->size = at + length;
        break;
    }
}

/* In a block of its exact size, so that the sanitizer sees one byte too many. */
static void run(const struct input *input)
{
    at_hand = input;
    uint8_t *exact = must_malloc(input->size);
    memcpy(exact, input->bytes, input->size);
    LLVMFuzzerTestOneInput(exact, input->size);
    free(exact);
}

static int read_seed(int dir, const char *name, struct input *input)
{
    FD(fd) = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, input->bytes, INPUT_MAX_BYTES);
    input->size = got < 0 ? 0 : (size_t)got;
    return got < 0 ? -1 : 0;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* By name, so that the mutations do not depend on the order of a directory. */
static int read_seeds(const char *path, struct seeds *seeds)
{
    DIRECTORY(dir) = opendir(path);
    if (!dir)
        return -1;
    char *names[SEEDS_MAX] = {NULL};
    size_t count = 0;
    int result = 0;
    for (struct dirent *entry; (entry = readdir(dir)) && count < SEEDS_MAX;)
        if (entry->d_name[0] != '.')
            names[count++] = must_strdup(entry->d_name);
    qsort(names, count, sizeof names[0], compare_names);
    for (size_t i = 0; i < count; i++) {
        if (read_seed(dirfd(dir), names[i], &seeds->inputs[i]) != 0)
            result = -1;
        free(names[i]);
    }
    seeds->count = count;
    return count > 0 ? result : -1;
}

static void mutate_and_run(const struct seeds *seeds)
{
    static struct input input;
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < MUTATIONS; i++) {
        input = seeds->inputs[below(&state, seeds->count)];
        for (size_t edits = 1 + below(&state, EDITS_MAX); edits > 0; edits--)
            edit(&input, seeds, &state);
        run(&input);
    }
}

int main(int argc, char **argv)
{
    static struct seeds seeds;
    static const struct input nothing;
    if (argc != 2 || read_seeds(argv[1], &seeds) != 0) {
        fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
        return 64;
    }
    struct sigaction action = {.sa_handler = print_input};
    must(sigaction(SIGABRT, &action, NULL) == 0);
    run(&nothing);
    for (size_t i = 0; i < seeds.count; i++)
        run(&seeds.inputs[i]);
    mutate_and_run(&seeds);
    printf("%zu seeds and %d mutations held\n", seeds.count, MUTATIONS);
    return 0;
}
