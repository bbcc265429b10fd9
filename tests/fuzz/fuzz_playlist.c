#include "base/playlist.h"
#include "fuzz.h"
#include "lib/cleanup.h"

#include <string.h>

/* A name that no web server and no player takes for anything but a file in this directory. */
static void must_be_plain(const char *name)
{
    must(name[0] && name[0] != '.' && strlen(name) <= 255);
    must(!strpbrk(name, "/\\%?#:\" \t\r\n"));
}

/* What a completion rests on has no URI but in its lines and its map. */
static void must_be_self_contained(const char *text)
{
    while (*text) {
        size_t size = strcspn(text, "\n");
        TEXT(line) = must_printf("%.*s", (int)size, text);
        bool may = strncmp(line, "#EXTINF:", 8) == 0 || strncmp(line, "#EXT-X-MAP:", 11) == 0;
        must(strncmp(line, "#EXT", 4) != 0 || may || !strstr(line, "URI="));
        must(!strstr(line, "#EXT-X-KEY") || line[0] != '#' ||
             strncmp(line, "#EXT-X-KEY", 10) != 0 ||
             strncmp(line, "#EXT-X-KEY:METHOD=NONE", 22) == 0);
        text += size + (text[size] == '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct playlist list;
    struct error err;
    TEXT(text) = must_malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (playlist_parse(text, size, &list, &err) != 0)
        return 0;
    int64_t total_us = 0;
    for (size_t i = 0; i < list.count; i++) {
        must_be_plain(list.segments[i].name);
        must(list.segments[i].duration_us >= -1);
        must(list.segments[i].duration_us >= 0 || list.foreign);
        total_us += list.segments[i].duration_us > 0 ? list.segments[i].duration_us : 0;
    }
    must(total_us == list.total_us);
    if (list.init)
        must_be_plain(list.init);
    must(list.self_contained || list.foreign);
    if (list.self_contained)
        must_be_self_contained(text);
    playlist_fini(&list);
    return 0;
}
