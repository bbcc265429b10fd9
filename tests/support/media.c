#include "media.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "process.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAKE_MS = 120 * 1000, DECODE_MS = 120 * 1000, PROBE_MS = 30 * 1000, RECIPE_ARGS_MAX = 40 };

static const char *const names[] = {
#define MEDIA_NAME(name, file) [MEDIA_##name] = file,
    MEDIA_CLIPS(MEDIA_NAME)
#undef MEDIA_NAME
};

#define MOVING(size, seconds) "-f lavfi -i testsrc2=size=" size ":rate=25:duration=" seconds " "
#define SOUND(seconds)        "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=" seconds " "
#define X264                  "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 "
#define AAC                   "-c:a aac -b:a 64k "

/* The arguments of ffmpeg up to the output's name. NULL: not made by ffmpeg alone. */
static const char *const recipes[] = {
    [MEDIA_TINY] = MOVING("320x180", "1.5") SOUND("1.5") X264 AAC,
    [MEDIA_NORMAL] = MOVING("640x360", "3") SOUND("3") X264 AAC,
    [MEDIA_HD] = MOVING("1280x720", "5") SOUND("5") X264 AAC,
    [MEDIA_SILENT] = MOVING("640x360", "2") X264,
    [MEDIA_PORTRAIT] = MOVING("360x640", "2") SOUND("2") X264 AAC,
    [MEDIA_ODD] = MOVING("322x182", "2")
        SOUND("2") "-vf format=yuv444p,crop=321:181 -pix_fmt yuv444p -c:v ffv1 -c:a pcm_s16le",
    [MEDIA_SHORT] = MOVING("640x360", "1") SOUND("1") X264 AAC,
    [MEDIA_LONG] = MOVING("640x360", "12") SOUND("12") X264 AAC,
    [MEDIA_AUDIO] = SOUND("2") AAC,
    [MEDIA_UNTIMED] = MOVING("320x240", "8") SOUND("8") X264 "-bf 3 -b_strategy 0 -c:a libmp3lame",
    [MEDIA_LATE] = SOUND("4") "-itsoffset 2 " MOVING("320x240", "2") "-map 1 -map 0 " X264 AAC,
    [MEDIA_LATE_SOUND] = MOVING("320x240", "3") "-itsoffset 0.4 " SOUND("2.6") X264 AAC,
    [MEDIA_LOW_MP3] = MOVING("320x240", "2") SOUND("2") X264 "-c:a libmp3lame -ar 8000 -ac 1",
    [MEDIA_FAR_KEYS] = MOVING("160x120", "24") SOUND("24") X264 "-g 1000 " AAC,
    [MEDIA_COUNT] = NULL,
};

static const char *cache_directory(void)
{
    static char path[PATH_BYTES];
    if (path[0])
        return path;
    char self[PATH_BYTES - 16];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    cr_assert(size > 0);
    self[size] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof path, "%s/media", self);
    mkdir(path, 0777);
    return path;
}

char *media_beside(const char *name)
{
    return must_printf("%s/%s", cache_directory(), name);
}

static void make_by_ffmpeg(const char *recipe, const char *out)
{
    TEXT(words) = must_strdup(recipe);
    const char *argv[RECIPE_ARGS_MAX] = {"ffmpeg", "-nostdin", "-v", "error", "-y"};
    size_t count = 5;
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        cr_assert(count < RECIPE_ARGS_MAX - 2);
        argv[count++] = word;
    }
    argv[count] = out;
    RUN(run) = run_program(argv, NULL, MAKE_MS);
    cr_assert(run.status == 0, "ffmpeg cannot make %s: %s", out, run.err);
}

/* The first part of another clip, as a cut transfer leaves it. */
static void make_by_cutting(const char *recipe, int64_t keep_percent, const char *out)
{
    make_by_ffmpeg(recipe, out);
    struct stat status;
    cr_assert(stat(out, &status) == 0);
    cr_assert(truncate(out, status.st_size * keep_percent / 100) == 0);
}

/* From a whole video, by a line of shell: `$0` is that, `$1` the clip. */
static void make_by_shell(const char *recipe, const char *script, const char *out)
{
    TEXT(whole) = must_printf("%s.whole.mkv", out);
    make_by_ffmpeg(recipe, whole);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, whole, out, NULL}, NULL, MAKE_MS);
    cr_assert(run.status == 0, "cannot make %s: %s", out, run.err);
    cr_assert(unlink(whole) == 0);
}

/* Debian 12's ffmpeg cannot write a rotation: the matrix of the first track is overwritten. */
static void make_rotated(const char *out)
{
    enum { MATRIX_OFFSET = 44 }; /* from the `t` of tkhd, version 0 */
    static const unsigned char quarter_turn[36] = {
        0,    0,    0, 0, 0, 1, 0, 0, 0,    0, 0, 0, /* a = 0, b = 1, u */
        0xff, 0xff, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, /* c = -1, d = 0, v */
        1,    0x68, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, /* x = 360, y = 0, w */
    };
    make_by_ffmpeg(MOVING("640x360", "2") SOUND("2") X264 AAC, out);
    FD(fd) = open(out, O_RDWR | O_CLOEXEC);
    struct stat status;
    cr_assert(fd >= 0 && fstat(fd, &status) == 0);
    char *video = must_malloc((size_t)status.st_size);
    cr_assert(pread(fd, video, (size_t)status.st_size, 0) == status.st_size);
    const char *box = memmem(video, (size_t)status.st_size, "tkhd", 4);
    cr_assert(box);
    off_t at = box - video + MATRIX_OFFSET;
    free(video);
    cr_assert(pwrite(fd, quarter_turn, sizeof quarter_turn, at) == sizeof quarter_turn);
}

static void make(enum media clip, const char *out)
{
    switch (clip) {
    case MEDIA_ROTATED:
        make_rotated(out);
        return;
    case MEDIA_NO_MOOV: /* the index is written last */
        make_by_cutting(MOVING("320x180", "3") SOUND("3") X264 AAC, 60, out);
        return;
    case MEDIA_TRUNCATED:
        make_by_cutting(MOVING("320x180", "20") SOUND("20") X264 AAC, 25, out);
        return;
    case MEDIA_MID_GOP:
        make_by_shell(MOVING("320x240", "6") SOUND("6") X264 AAC,
                      "ffmpeg -v error -i \"$0\" -c copy -f mpegts - | tail -c +60161 >\"$1\"",
                      out);
        return;
    case MEDIA_TRIMMED:
        make_by_shell(MOVING("320x240", "9") SOUND("9") X264 "-g 100 " AAC,
                      "ffmpeg -v error -ss 3.3 -i \"$0\" -c copy -t 5 -f mp4 -y \"$1\"", out);
        return;
    case MEDIA_TEXT:
        file_write(out, "This is not the film that you are looking for.\n", 0644);
        return;
    case MEDIA_EMPTY:
        file_write(out, "", 0644);
        return;
    case MEDIA_TINY:
    case MEDIA_NORMAL:
    case MEDIA_HD:
    case MEDIA_SILENT:
    case MEDIA_PORTRAIT:
    case MEDIA_ODD:
    case MEDIA_SHORT:
    case MEDIA_LONG:
    case MEDIA_AUDIO:
    case MEDIA_UNTIMED:
    case MEDIA_LATE:
    case MEDIA_FAR_KEYS:
    case MEDIA_LOW_MP3:
    case MEDIA_LATE_SOUND:
    case MEDIA_COUNT:
        make_by_ffmpeg(recipes[clip], out);
        return;
    }
}

const char *media_clip(enum media clip)
{
    static char paths[MEDIA_COUNT][PATH_BYTES + 64];
    char *path = paths[clip], making[PATH_BYTES + 64];
    snprintf(path, sizeof paths[clip], "%s/%s", cache_directory(), names[clip]);
    if (access(path, F_OK) == 0)
        return path;
    snprintf(making, sizeof making, "%s/%d-%s", cache_directory(), (int)getpid(), names[clip]);
    make(clip, making);
    cr_assert(rename(making, path) == 0);
    return path;
}

static void make_tree(const char *directory)
{
    const char *clip = media_clip(MEDIA_NORMAL);
    TEXT(script) = must_printf(
        "set -e; mkdir -p '%s/360p'; cd '%s/360p'; "
        "ffmpeg -nostdin -v error -y -i '%s' -c copy -f hls -hls_segment_type fmp4 -hls_time 1 "
        "-hls_playlist_type vod -hls_fmp4_init_filename init.mp4 "
        "-hls_segment_filename seg_%%04d.m4s stream.m3u8; cd ..; "
        "printf '#EXTM3U\\n#EXT-X-VERSION:7\\n#EXT-X-STREAM-INF:BANDWIDTH=700000,"
        "RESOLUTION=640x360\\n360p/stream.m3u8\\n' > master.m3u8; "
        "printf '<?xml version=\"1.0\"?>\\n<MPD/>\\n' > manifest.mpd; "
        "ffmpeg -nostdin -v error -y -i '%s' -frames:v 1 thumbnail.jpg",
        directory, directory, clip, clip);
    RUN(run) = run_program((const char *[]){"sh", "-c", script, NULL}, NULL, MAKE_MS);
    cr_assert(run.status == 0, "cannot make %s: %s", directory, run.err);
}

const char *media_tree(void)
{
    static char path[PATH_BYTES + 64];
    char making[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/tree", cache_directory());
    if (access(path, F_OK) == 0)
        return path;
    snprintf(making, sizeof making, "%s/%d-tree", cache_directory(), (int)getpid());
    make_tree(making);
    /* Somebody else's is as good; ours then stays aside until the build directory goes. */
    cr_assert(rename(making, path) == 0 || access(path, F_OK) == 0);
    return path;
}

char *media_probe(const char *path, const char *entries, const char *streams)
{
    const char *argv[] = {"ffprobe",
                          "-v",
                          "error",
                          "-allowed_extensions",
                          "ALL",
                          "-of",
                          "default=nokey=1:noprint_wrappers=1",
                          "-show_entries",
                          entries,
                          path,
                          streams ? "-select_streams" : NULL,
                          streams,
                          NULL};
    if (!strstr(path, ".m3u8"))
        argv[3] = "-hide_banner", argv[4] = "-hide_banner";
    RUN(run) = run_program(argv, NULL, PROBE_MS);
    cr_assert(run.status == 0, "ffprobe %s: %s", path, run.err);
    char *text = run.out;
    run.out = NULL;
    size_t size = strlen(text);
    if (size > 0 && text[size - 1] == '\n')
        text[size - 1] = '\0';
    return text;
}

double media_duration(const char *path)
{
    TEXT(text) = media_probe(path, "format=duration", NULL);
    return strtod(text, NULL);
}

void media_plays(const char *path)
{
    RUN(run) = run_program((const char *[]){"ffmpeg", "-nostdin", "-v", "error", "-xerror",
                                            "-allowed_extensions", "ALL", "-i", path, "-map", "0",
                                            "-f", "null", "-", NULL},
                           NULL, DECODE_MS);
    cr_assert(run.status == 0 && run.err[0] == '\0', "%s does not play: %s", path, run.err);
}

char *media_keyframes(const char *playlist)
{
    RUN(run) = run_program((const char *[]){"ffprobe", "-v", "error", "-allowed_extensions", "ALL",
                                            "-select_streams", "v:0", "-show_entries",
                                            "packet=pts_time,flags", "-of", "csv=p=0", playlist,
                                            NULL},
                           NULL, DECODE_MS);
    cr_assert(run.status == 0, "ffprobe %s: %s", playlist, run.err);
    char *times = must_strdup(""), *rest = NULL;
    for (char *line = strtok_r(run.out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (!strstr(line, ",K"))
            continue;
        char *longer = must_printf("%s%.*s\n", times, (int)strcspn(line, ","), line);
        free(times);
        times = longer;
    }
    return times;
}
