/* error: what went wrong, by value, so that failing allocates nothing.
 *
 * A function that can fail takes `struct error *err` last and returns 0, or -1 with *err filled;
 * on success *err is untouched. Callers add context on the way up (error_wrap); the layer that
 * decides what to do logs it, once. Never put a key or a secret into a message. */
#ifndef TAILSLATE_ERROR_H
#define TAILSLATE_ERROR_H

enum { ERROR_MESSAGE_BYTES = 512 };

enum error_class {
    ERROR_TEMPORARY, /* may pass by itself: try again later */
    ERROR_PERMANENT, /* needs a person, or other input */
    ERROR_BUG,       /* cannot happen */
};

struct error {
    enum error_class class;
    int code;                          /* errno, or 0; or as a module's header says */
    char message[ERROR_MESSAGE_BYTES]; /* NUL-terminated, truncated at the limit, no newline */
};

/* Fill *err and return -1, so that `return error_set(...)` reads well. */
int error_set(struct error *err, enum error_class class, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same from errno: appends ": <strerror>"; code is errno. TEMPORARY if the same call may
 * succeed later: a resource is exhausted (space, quota, descriptors, memory), busy or interrupted,
 * a device or mount failed or is unavailable, or it took too long. PERMANENT otherwise. */
int error_errno(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prefix "<context>: " to the message. Returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sysexits: TEMPORARY 75, PERMANENT 78 (a configuration error at the start), BUG 70. */
int error_exit_status(const struct error *err);

/* An invariant, also checked in a release: a broken one aborts, and a crash is a tested path. */
#define must(condition)                                                                            \
    ((condition) ? (void)0 : must_failed(#condition, __FILE__, __LINE__, __func__))
_Noreturn void must_failed(const char *condition, const char *file, int line, const char *function);

/* malloc and friends that abort when memory is exhausted (a crash is a tested path). */
void *must_malloc(unsigned long size);
void *must_calloc(unsigned long count, unsigned long size);
void *must_realloc(void *old, unsigned long size);
char *must_strdup(const char *text);
char *must_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
