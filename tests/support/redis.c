#include "redis.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "port.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { READY_MS = 30 * 1000, ASK_MS = 30 * 1000, WORDS_MAX = 40 };

struct redis *redis_new(const char *const options[])
{
    struct redis *redis = must_calloc(1, sizeof *redis);
    const char *base = getenv("TMPDIR");
    snprintf(redis->dir, sizeof redis->dir, "%s/tailslate-redis-XXXXXX",
             base && *base ? base : P_tmpdir);
    cr_assert(mkdtemp(redis->dir), "cannot make %s", redis->dir);
    guard_start(&redis->guard, redis->dir);
    redis->options = options;
    redis->port = port_free();
    return redis;
}

struct redis *redis_start(const char *const options[])
{
    struct redis *redis = redis_new(options);
    redis_up(redis);
    return redis;
}

void redis_up(struct redis *redis)
{
    cr_assert(!redis->process);
    TEXT(port) = must_printf("%d", redis->port);
    TEXT(log) = must_printf("%s/redis.%d.log", redis->dir, ++redis->lives);
    const char *argv[WORDS_MAX] = {"redis-server", "--bind", "127.0.0.1", "--port",  port,
                                   "--save",       "",       "--dir",     redis->dir};
    size_t count = 9;
    for (const char *const *option = redis->options; option && *option; option++) {
        cr_assert(count < WORDS_MAX - 1);
        argv[count++] = *option;
    }
    TEXT(err) = must_printf("%s/redis.%d.err.log", redis->dir, redis->lives);
    redis->process = process_start(argv, NULL, err, log);
    cr_assert(log_wait(log, "Ready to accept connections", READY_MS, NULL), "see %s", log);
}

void redis_kill(struct redis *redis)
{
    process_free(redis->process);
    redis->process = NULL;
}

void redis_hang(struct redis *redis)
{
    int status;
    process_signal(redis->process, SIGSTOP);
    /* From here on it does nothing: the signal alone would only be on its way. */
    cr_assert(waitpid(redis->process->pid, &status, WUNTRACED) == redis->process->pid);
    cr_assert(WIFSTOPPED(status));
}

void redis_wake(struct redis *redis)
{
    process_signal(redis->process, SIGCONT);
}

void redis_stop(struct redis *redis)
{
    redis_kill(redis);
    guard_end(&redis->guard);
    free(redis);
}

static char *ask(const struct redis *redis, const char *first, va_list words)
{
    TEXT(port) = must_printf("%d", redis->port);
    TEXT(secret) = must_printf("REDISCLI_AUTH=%s", redis->password ? redis->password : "");
    const char *env[] = {redis->password ? secret : NULL, NULL};
    const char *argv[WORDS_MAX] = {"redis-cli", "-h", "127.0.0.1", "-p", port};
    size_t count = 5;
    if (redis->user) {
        argv[count++] = "--user";
        argv[count++] = redis->user;
    }
    for (const char *word = first; word; word = va_arg(words, const char *)) {
        cr_assert(count < WORDS_MAX - 1);
        argv[count++] = word;
    }
    RUN(run) = run_program(argv, env, ASK_MS);
    cr_assert(run.status == 0, "redis-cli: %d %s%s", run.status, run.out, run.err);
    char *answer = steal_text(&run.out);
    answer[strcspn(answer, "\n")] = '\0';
    return answer;
}

char *redis_ask(const struct redis *redis, const char *word, ...)
{
    va_list words;
    va_start(words, word);
    char *answer = ask(redis, word, words);
    va_end(words);
    return answer;
}

void redis_expect(const struct redis *redis, const char *wanted, const char *word, ...)
{
    va_list words;
    va_start(words, word);
    TEXT(answer) = ask(redis, word, words);
    va_end(words);
    cr_assert(strcmp(answer, wanted) == 0, "%s …: \"%s\", wanted \"%s\"", word, answer, wanted);
}

char *redis_url(const struct redis *redis)
{
    return must_printf("redis://%s%s127.0.0.1:%d", redis->user ? redis->user : "",
                       redis->user ? "@" : "", redis->port);
}
