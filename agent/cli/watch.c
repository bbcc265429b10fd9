#include "agent/cli/watch.h"

#include "agent/cli/render.h"
#include "agent/cli/show.h"
#include "agent/cli/view.h"
#include "base/clock.h"
#include "base/text.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

static const char screen_begin[] = "\033[?1049h\033[?25l"; /* alternate screen, no cursor */
static const char screen_end[] = "\033[?25h\033[?1049l";

static int rows_of(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : INT16_MAX;
}

static char *draw(const struct config *config, int columns, struct error *err)
{
    struct view view;
    char *text = NULL;
    size_t size = 0;
    char now[WALL_TEXT_BYTES];
    int opened = view_open(&view, config, err);
    if (opened == 0) {
        STREAM(out) = open_memstream(&text, &size);
        must(out);
        wall_format(wall_us(), now);
        TEXT(title) = must_printf("Tailslate, %.19s UTC, every second; Ctrl-C ends", now);
        text_wrap(out, title, 0, 0, columns);
        fputc('\n', out);
        render_status(out, &view, columns);
    }
    view_close(&view);
    return opened == 0 ? text : NULL;
}

/* Overwrites the previous output line by line: clearing the screen first would flicker. */
static void put_on_screen(const char *text, int rows)
{
    fputs("\033[H", stdout);
    for (int row = 1; *text && row < rows; row++) {
        size_t length = strcspn(text, "\n");
        fwrite(text, 1, length, stdout);
        fputs("\033[K\n", stdout);
        text += length + (text[length] == '\n');
    }
    fputs("\033[J", stdout);
}

static int draw_once(const struct config *config, bool is_terminal)
{
    struct error err;
    TEXT(text) = draw(config, text_columns(stdout), &err);
    if (!text) {
        fprintf(stderr, "tailslate-agent: %s\n", err.message);
        return error_exit_status(&err);
    }
    if (is_terminal)
        put_on_screen(text, rows_of(STDOUT_FILENO));
    else
        printf("%s\n", text);
    return 0;
}

/* Waits for signals instead of handling them: nothing interrupts the output. */
static bool is_interrupted(const sigset_t *ends)
{
    const struct timespec pause = {.tv_sec = WATCH_PAUSE_S};
    int got;
    while ((got = sigtimedwait(ends, NULL, &pause)) < 0 && errno == EINTR)
        ;
    return got > 0;
}

int watch_status(const struct config *config, bool as_json)
{
    bool is_terminal = !as_json && isatty(STDOUT_FILENO) == 1;
    int status = 0;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (is_terminal)
        fputs(screen_begin, stdout);
    do {
        status = as_json ? show_status(config, true) : draw_once(config, is_terminal);
        if (fflush(stdout) != 0)
            break; /* nobody reads any more */
    } while (status == 0 && !is_interrupted(&ends));
    if (is_terminal)
        fputs(screen_end, stdout);
    return status;
}
