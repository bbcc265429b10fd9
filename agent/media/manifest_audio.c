#include "agent/media/manifest_audio.h"

#include <ctype.h>
#include <string.h>

enum { NAME_BYTES = AUDIO_TITLE_BYTES + 16 };

/* Containers name languages by ISO 639-2, playlists by RFC 5646, which requires the shortest code.
 */
static const char *const short_codes[][2] = {
    {"ara", "ar"}, {"bul", "bg"}, {"ces", "cs"}, {"chi", "zh"}, {"cze", "cs"}, {"dan", "da"},
    {"deu", "de"}, {"dut", "nl"}, {"ell", "el"}, {"eng", "en"}, {"est", "et"}, {"fin", "fi"},
    {"fra", "fr"}, {"fre", "fr"}, {"ger", "de"}, {"gre", "el"}, {"heb", "he"}, {"hin", "hi"},
    {"hrv", "hr"}, {"hun", "hu"}, {"ind", "id"}, {"ita", "it"}, {"jpn", "ja"}, {"kor", "ko"},
    {"lav", "lv"}, {"lit", "lt"}, {"nld", "nl"}, {"nob", "nb"}, {"nor", "no"}, {"pol", "pl"},
    {"por", "pt"}, {"ron", "ro"}, {"rum", "ro"}, {"rus", "ru"}, {"slk", "sk"}, {"slo", "sk"},
    {"slv", "sl"}, {"spa", "es"}, {"srp", "sr"}, {"swe", "sv"}, {"tha", "th"}, {"tur", "tr"},
    {"ukr", "uk"}, {"vie", "vi"}, {"zho", "zh"},
};

/* "" if it is unknown or not a code. */
static const char *language_of(const struct audio_track *track)
{
    const char *language = track->language;
    for (size_t i = 0; i < sizeof short_codes / sizeof short_codes[0]; i++)
        if (strcasecmp(language, short_codes[i][0]) == 0)
            return short_codes[i][1];
    bool is_code = isalpha((unsigned char)language[0]) && strcasecmp(language, "und") != 0;
    for (const char *at = language; *at; at++)
        is_code = is_code && (isalnum((unsigned char)*at) || *at == '-');
    return is_code ? language : "";
}

/* A quoted string in a playlist cannot contain quotes, line breaks or other control characters. */
static void clean(char *text)
{
    for (; *text; text++)
        if (*text == '"' || (unsigned char)*text < ' ' || *text == 0x7f)
            *text = '\'';
}

static void base_name(const struct manifest_audio *audio, char name[NAME_BYTES])
{
    const struct audio_track *track = audio->track;
    const char *language = language_of(track);
    if (track->title[0])
        snprintf(name, NAME_BYTES, "%s", track->title);
    else if (language[0])
        snprintf(name, NAME_BYTES, "%s", language);
    else
        snprintf(name, NAME_BYTES, "Track %zu", audio->number + 1);
    clean(name);
}

/* Names are unique within a group. */
static void name_of(const struct manifest_audio *audio, size_t i, char name[NAME_BYTES])
{
    base_name(&audio[i], name);
    for (size_t j = 0; j < i; j++) {
        char other[NAME_BYTES];
        size_t used = strlen(name);
        base_name(&audio[j], other);
        if (strcmp(name, other) != 0)
            continue;
        snprintf(name + used, NAME_BYTES - used, " (%zu)", audio[i].number + 1);
        return;
    }
}

/* May a player take it because of the viewer's language, unasked? */
static bool is_selectable(const struct manifest_audio *audio, size_t i)
{
    const char *language = language_of(audio[i].track);
    if (i == 0)
        return true;
    if (audio[i].track->is_secondary || !language[0])
        return false;
    for (size_t j = 0; j < i; j++)
        if (strcmp(language, language_of(audio[j].track)) == 0)
            return false;
    return true;
}

static void put_choice(FILE *out, const struct manifest_audio *audio, size_t i)
{
    char name[NAME_BYTES];
    const char *language = language_of(audio[i].track);
    name_of(audio, i, name);
    fprintf(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"" MANIFEST_GROUP "\",NAME=\"%s\"", name);
    if (language[0])
        fprintf(out, ",LANGUAGE=\"%s\"", language);
    fprintf(out, ",DEFAULT=%s,AUTOSELECT=%s", i == 0 ? "YES" : "NO",
            is_selectable(audio, i) ? "YES" : "NO");
    if (audio[i].track->describes_video)
        fputs(",CHARACTERISTICS=\"public.accessibility.describes-video\"", out);
    fprintf(out, ",URI=\"%s/" AUDIO_PLAYLIST "\"\n", tailslate_quality_name(audio[i].home),
            audio[i].number);
}

void manifest_put_group(FILE *out, const struct manifest_audio *audio, size_t count,
                        struct manifest_group *group)
{
    *group = (struct manifest_group){.count = count};
    for (size_t i = 0; i < group->count; i++) {
        put_choice(out, audio, i);
        if (audio[i].peak_bps > group->peak_bps)
            group->peak_bps = audio[i].peak_bps;
        if (audio[i].average_bps > group->average_bps)
            group->average_bps = audio[i].average_bps;
    }
}
