#include "verifier/gate/gate_keeper.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"
#include "verifier/base/deadline.h"

#include "tailslate/backoff.h"

#include <signal.h>
#include <string.h>

/* A script, so that a key is taken and its holder read in one step, and given back only by its
 * holder. Whatever the key holds (another type, megabytes), the reply is short. */
const char gate_script_enter[] =
    "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then\n"
    "  return 1\n"
    "end\n"
    "local held = redis.pcall('GETRANGE', KEYS[1], 0, 63)\n"
    "return type(held) == 'string' and held or ''\n";
const char gate_script_leave[] = "if redis.pcall('GETRANGE', KEYS[1], 0, 63) ~= ARGV[1] then\n"
                                 "  return 0\n"
                                 "end\n"
                                 "if ARGV[2] == '' then\n"
                                 "  redis.call('DEL', KEYS[1])\n"
                                 "else\n"
                                 "  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\n"
                                 "end\n"
                                 "return 1\n";

struct gate_keeper {
    struct gate_address address;
    char *password_file; /* NULL: none */
    char *prefix;
    pthread_t thread;

    /* Protects the connection. Taken before `lock`. */
    pthread_mutex_t in_use;
    struct gate_link *link; /* NULL unless closed */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum gate_state state;
    bool tried, stopping;
    char reason[GATE_REASON_BYTES];
};

/* Call with `lock` held. The reason stays while a probe is running. */
static void set_state(struct gate_keeper *keeper, enum gate_state state, const char *reason)
{
    keeper->state = state;
    keeper->tried |= state != GATE_HALF_OPEN;
    if (state != GATE_HALF_OPEN)
        snprintf(keeper->reason, sizeof keeper->reason, "%.*s", GATE_REASON_BYTES - 1, reason);
    pthread_cond_broadcast(&keeper->changed);
}

/* Call with `lock` held. False: timeout, or the keeper has to stop. */
static bool wait_while(struct gate_keeper *keeper, enum gate_state state, int64_t ms)
{
    int64_t until_ms = mono_ms() + ms;
    while (!keeper->stopping && keeper->state == state &&
           deadline_wait(&keeper->changed, &keeper->lock, until_ms))
        ;
    return !keeper->stopping && keeper->state != state;
}

/* Call with `in_use` held. */
static void lose(struct gate_keeper *keeper, const struct error *err)
{
    gate_link_close(keeper->link);
    keeper->link = NULL;
    pthread_mutex_lock(&keeper->lock);
    set_state(keeper, GATE_OPEN, err->message);
    pthread_mutex_unlock(&keeper->lock);
}

enum gate_outcome gate_keeper_ask(struct gate_keeper *keeper, const char *const words[],
                                  int64_t wait_ms, struct gate_reply *reply)
{
    int64_t now_ms = mono_ms();
    if (gate_keeper_state(keeper, NULL) != GATE_CLOSED)
        return GATE_SKIPPED_OPEN;
    if (!deadline_lock(&keeper->in_use, now_ms + wait_ms))
        return GATE_SKIPPED_SLOW;
    enum gate_outcome outcome = keeper->link ? GATE_ANSWERED : GATE_SKIPPED_OPEN;
    struct error err;
    if (keeper->link &&
        gate_link_call(keeper->link, words, now_ms + GATE_CALL_MS, reply, &err) != 0) {
        outcome = GATE_FAILED;
        lose(keeper, &err);
    }
    pthread_mutex_unlock(&keeper->in_use);
    if (outcome == GATE_FAILED)
        log_warning("gate.lost", LOG_TEXT("error", err.message));
    return outcome;
}

/* Takes a key of its own and gives it back. */
static int probe(struct gate_keeper *keeper, struct gate_link *link, struct error *err)
{
    char nonce[TAILSLATE_UUID_BYTES];
    uuid_make_v4(nonce);
    TEXT(key) = must_printf("%scompletion_token:0:probe-%s", keeper->prefix, nonce);
    const char *const enter[] = {"EVAL", gate_script_enter, "1", key, nonce, "10", NULL};
    const char *const leave[] = {"EVAL", gate_script_leave, "1", key, nonce, "", "0", NULL};
    const char *const ping[] = {"PING", NULL}, *const *const commands[] = {enter, leave};
    struct gate_reply pong;
    if (gate_link_call(link, ping, mono_ms() + GATE_CALL_MS, &pong, err) != 0)
        return -1;
    if (strcmp(pong.text, "PONG") != 0)
        return error_set(err, ERROR_TEMPORARY, 0, "the server does not speak Redis");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct gate_reply reply;
        if (gate_link_call(link, commands[i], mono_ms() + GATE_CALL_MS, &reply, err) != 0)
            return -1;
        if (reply.type != GATE_REPLY_INTEGER || reply.integer != 1)
            return error_set(err, ERROR_TEMPORARY, 0,
                             "Redis does not keep the values that are stored in it");
    }
    return 0;
}

static struct gate_link *open_link(struct gate_keeper *keeper, struct error *err)
{
    char secret[CONFIG_SECRET_BYTES];
    bool has_password = keeper->password_file != NULL;
    if (has_password && config_read_secret(keeper->password_file, secret, err) != 0)
        return NULL;
    struct gate_link *link = gate_link_open(&keeper->address, has_password ? secret : NULL, err);
    explicit_bzero(secret, sizeof secret);
    return link;
}

/* True: the connection is ready for all. */
static bool attempt(struct gate_keeper *keeper)
{
    struct error err = {0};
    pthread_mutex_lock(&keeper->lock);
    bool was_tried = keeper->tried;
    set_state(keeper, GATE_HALF_OPEN, NULL);
    pthread_mutex_unlock(&keeper->lock);
    struct gate_link *link = open_link(keeper, &err);
    if (link && probe(keeper, link, &err) != 0) {
        gate_link_close(link);
        link = NULL;
    }
    pthread_mutex_lock(&keeper->in_use);
    pthread_mutex_lock(&keeper->lock);
    keeper->link = link;
    set_state(keeper, link ? GATE_CLOSED : GATE_OPEN, err.message);
    pthread_mutex_unlock(&keeper->lock);
    pthread_mutex_unlock(&keeper->in_use);
    if (link)
        log_info("gate.ready", LOG_TEXT("host", keeper->address.host));
    else if (!was_tried)
        log_warning("gate.lost", LOG_TEXT("error", err.message));
    return link != NULL;
}

/* Until the connection is lost; how long it lasted, in ms. */
static int64_t watch(struct gate_keeper *keeper)
{
    static const char *const ping[] = {"PING", NULL};
    int64_t since_ms = mono_ms();
    for (bool is_up = true; is_up;) {
        struct gate_reply ignored;
        pthread_mutex_lock(&keeper->lock);
        wait_while(keeper, GATE_CLOSED, GATE_PING_MS);
        is_up = !keeper->stopping && keeper->state == GATE_CLOSED;
        pthread_mutex_unlock(&keeper->lock);
        if (is_up)
            gate_keeper_ask(keeper, ping, GATE_TURN_MS, &ignored);
    }
    return mono_ms() - since_ms;
}

static bool pause_ms(struct gate_keeper *keeper, int64_t ms)
{
    pthread_mutex_lock(&keeper->lock);
    wait_while(keeper, GATE_OPEN, ms);
    bool may_continue = !keeper->stopping;
    pthread_mutex_unlock(&keeper->lock);
    return may_continue;
}

static void *keep(void *ctx)
{
    const struct tailslate_backoff policy = {GATE_PAUSE_MIN_MS, GATE_PAUSE_MAX_MS};
    struct gate_keeper *keeper = ctx;
    unsigned failures = 0;
    do {
        if (attempt(keeper) && watch(keeper) >= GATE_LASTING_MS)
            failures = 0;
    } while (pause_ms(keeper, tailslate_backoff_delay_ms(policy, failures++, -1, random_u64())));
    return NULL;
}

/* hiredis may write to a closed connection; and this thread handles no signals. */
static void start_thread(struct gate_keeper *keeper)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t all, before;
    must(sigaction(SIGPIPE, &ignore, NULL) == 0);
    sigfillset(&all);
    must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    must(pthread_create(&keeper->thread, NULL, keep, keeper) == 0);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

struct gate_keeper *gate_keeper_start(const struct gate_address *address, const char *password_file,
                                      const char *prefix)
{
    struct gate_keeper *keeper = must_calloc(1, sizeof *keeper);
    keeper->address = *address;
    keeper->password_file = password_file ? must_strdup(password_file) : NULL;
    keeper->prefix = must_strdup(prefix);
    keeper->state = GATE_HALF_OPEN;
    must(pthread_cond_init(&keeper->changed, NULL) == 0);
    must(pthread_mutex_init(&keeper->lock, NULL) == 0);
    must(pthread_mutex_init(&keeper->in_use, NULL) == 0);
    start_thread(keeper);
    return keeper;
}

void gate_keeper_stop(struct gate_keeper *keeper)
{
    int64_t until_ms = mono_ms() + GATE_END_MS;
    pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    pthread_cond_broadcast(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    if (!deadline_join(keeper->thread, until_ms)) {
        /* It hangs in the resolver, which cannot be interrupted: its memory must stay. */
        pthread_detach(keeper->thread);
        return;
    }
    gate_link_close(keeper->link);
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    pthread_mutex_destroy(&keeper->in_use);
    free(keeper->password_file);
    free(keeper->prefix);
    free(keeper);
}

void gate_keeper_wait(struct gate_keeper *keeper, int64_t timeout_ms)
{
    int64_t until_ms = mono_ms() + timeout_ms;
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->tried && deadline_wait(&keeper->changed, &keeper->lock, until_ms))
        ;
    pthread_mutex_unlock(&keeper->lock);
}

enum gate_state gate_keeper_state(struct gate_keeper *keeper, char reason[GATE_REASON_BYTES])
{
    pthread_mutex_lock(&keeper->lock);
    enum gate_state state = keeper->state;
    if (reason)
        memcpy(reason, keeper->reason, sizeof keeper->reason);
    pthread_mutex_unlock(&keeper->lock);
    return state;
}
