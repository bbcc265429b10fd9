#include "lib/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message is always a single line. */
static void make_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

static void __attribute__((format(printf, 2, 0)))
fill(char message[ERROR_MESSAGE_BYTES], const char *format, va_list args)
{
    if (vsnprintf(message, ERROR_MESSAGE_BYTES, format, args) < 0)
        message[0] = '\0';
    make_one_line(message);
}

int error_set(struct error *err, enum error_class class, int code, const char *format, ...)
{
    /* By way of a copy: err->message may be among the arguments. */
    char message[ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    fill(message, format, args);
    va_end(args);

    err->class = class;
    err->code = code;
    memcpy(err->message, message, sizeof message);
    return -1;
}

static enum error_class class_of(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EINTR:
    case EAGAIN:
    case EBUSY:
    case EADDRINUSE:
    case EADDRNOTAVAIL: /* its interface may come up later */
    case EIO:
    case EROFS: /* a disk that was unavailable can come back */
    case ESTALE:
    case ENODEV:
    case ENXIO:
    case ETIMEDOUT:
        return ERROR_TEMPORARY;
    default:
        return ERROR_PERMANENT;
    }
}

int error_errno(struct error *err, const char *format, ...)
{
    int code = errno;
    char context[ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    fill(context, format, args);
    va_end(args);

    char reason[128];
    return error_set(err, class_of(code), code, "%s: %s", context,
                     strerror_r(code, reason, sizeof reason));
}

int error_wrap(struct error *err, const char *format, ...)
{
    char context[ERROR_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    fill(context, format, args);
    va_end(args);
    return error_set(err, err->class, err->code, "%s: %s", context, err->message);
}

int error_exit_status(const struct error *err)
{
    switch (err->class) {
    case ERROR_TEMPORARY:
        return 75;
    case ERROR_PERMANENT:
        return 78;
    case ERROR_BUG:
        break;
    }
    return 70;
}

_Noreturn void must_failed(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "tailslate: broken invariant: %s (%s:%d, %s)\n", condition, file, line,
            function);
    abort();
}

void *must_malloc(unsigned long size)
{
    void *memory = malloc(size ? size : 1);
    must(memory);
    return memory;
}

void *must_calloc(unsigned long count, unsigned long size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    must(memory);
    return memory;
}

void *must_realloc(void *old, unsigned long size)
{
    void *memory = realloc(old, size ? size : 1);
    must(memory);
    return memory;
}

char *must_strdup(const char *text)
{
    char *copy = strdup(text);
    must(copy);
    return copy;
}

char *must_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    must(length >= 0);
    return text;
}
