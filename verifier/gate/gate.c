#include "verifier/gate/gate.h"

#include "base/config.h"
#include "lib/cleanup.h"
#include "lib/uuid.h"
#include "verifier/gate/gate_keeper.h"

#include "tailslate/backoff.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum {
    /* Between two checks of a gate that another one holds. */
    POLL_FIRST_MS = 5,
    POLL_MS = 50,
    PING_MS = 3000,
};

#define OURS      "processing:"
#define COMPLETED "completed"

enum { SECONDS_BYTES = 12 };

struct gate {
    char *prefix;
    struct gate_keeper *keeper;
    _Atomic int64_t entered, waited, not_ours, outcomes[GATE_OUTCOMES];
};

static int check_prefix(const char *prefix, struct error *err)
{
    if (strlen(prefix) > GATE_PREFIX_MAX_BYTES)
        return error_set(err, ERROR_PERMANENT, 0, "redis.prefix: longer than %d bytes",
                         GATE_PREFIX_MAX_BYTES);
    for (const char *at = prefix; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return error_set(err, ERROR_PERMANENT, 0, "redis.prefix: contains a control character");
    return 0;
}

/* Fails at startup instead of in a warning an hour later. */
static int check_password_file(const char *password_file, struct error *err)
{
    char secret[CONFIG_SECRET_BYTES];
    if (config_read_secret(password_file, secret, err) != 0)
        return error_wrap(err, "redis.password_file");
    explicit_bzero(secret, sizeof secret);
    return 0;
}

int gate_open(const char *url, const char *password_file, const char *prefix, struct gate **gate,
              struct error *err)
{
    struct gate_address address;
    const char *file = password_file && password_file[0] ? password_file : NULL;
    *gate = NULL;
    if (!url[0])
        return 0;
    if (gate_url_parse(url, &address, err) != 0)
        return error_wrap(err, "redis.url");
    if (address.tls && gate_redis_tls_is_missing())
        return error_set(err, ERROR_PERMANENT, 0, "redis.url: %s", gate_redis_tls_is_missing());
    if (check_prefix(prefix, err) != 0 || (file && check_password_file(file, err) != 0))
        return -1;
    *gate = must_calloc(1, sizeof **gate);
    (*gate)->prefix = must_strdup(prefix);
    (*gate)->keeper = gate_keeper_start(&address, file, prefix);
    return 0;
}

void gate_close(struct gate *gate)
{
    if (!gate)
        return;
    gate_keeper_stop(gate->keeper);
    free(gate->prefix);
    free(gate);
}

static enum gate_outcome ask(struct gate *gate, const char *const words[], int64_t wait_ms,
                             struct gate_reply *reply)
{
    enum gate_outcome outcome = gate_keeper_ask(gate->keeper, words, wait_ms, reply);
    gate->outcomes[outcome]++;
    return outcome;
}

enum taken {
    TAKEN,
    TAKEN_UNKNOWN, /* the command was sent, no reply came */
    TAKEN_SKIPPED, /* Redis was not asked */
    TAKEN_BY_OTHER,
    TAKEN_NOT_OURS, /* `completed`, or anything else */
};

static enum taken judge(const struct gate_reply *reply)
{
    if (reply->type == GATE_REPLY_INTEGER && reply->integer == 1)
        return TAKEN;
    if (reply->type != GATE_REPLY_TEXT)
        return TAKEN_NOT_OURS;
    bool is_nonce = reply->size == strlen(OURS) + TAILSLATE_UUID_BYTES - 1 &&
                    strncmp(reply->text, OURS, strlen(OURS)) == 0 &&
                    tailslate_token_uuid_is_v4(reply->text + strlen(OURS));
    return is_nonce ? TAKEN_BY_OTHER : TAKEN_NOT_OURS;
}

static enum taken take(struct gate *gate, const struct gate_pass *pass)
{
    char life[SECONDS_BYTES];
    snprintf(life, sizeof life, "%d", GATE_HOLD_S);
    const char *const words[] = {"EVAL", gate_script_enter, "1", pass->key, pass->held, life, NULL};
    struct gate_reply reply;
    enum gate_outcome outcome = ask(gate, words, GATE_TURN_MS, &reply);
    return outcome == GATE_ANSWERED ? judge(&reply)
           : outcome == GATE_FAILED ? TAKEN_UNKNOWN
                                    : TAKEN_SKIPPED;
}

/* Short at first: most holders end within a few milliseconds. */
static void sleep_before(unsigned poll, int64_t until_ms)
{
    int64_t delay_ms = poll < 4 ? POLL_FIRST_MS << poll : POLL_MS;
    int64_t left_ms = until_ms - mono_ms();
    delay_ms = tailslate_backoff_jitter_ms(delay_ms, 0.25, random_u64());
    delay_ms = delay_ms < left_ms ? delay_ms : left_ms;
    const struct timespec delay = {.tv_nsec = (delay_ms > 0 ? delay_ms : 0) * 1000000};
    nanosleep(&delay, NULL);
}

static enum taken take_within(struct gate *gate, const struct gate_pass *pass)
{
    int64_t until_ms = mono_ms() + GATE_WAIT_MS;
    enum taken taken = take(gate, pass);
    gate->not_ours += taken == TAKEN_NOT_OURS;
    gate->waited += taken == TAKEN_BY_OTHER;
    for (unsigned poll = 0; taken == TAKEN_BY_OTHER && mono_ms() < until_ms; poll++) {
        sleep_before(poll, until_ms);
        taken = take(gate, pass);
    }
    return taken;
}

void gate_enter(struct gate *gate, int64_t job_id, const char *token, struct gate_pass *pass)
{
    char nonce[TAILSLATE_UUID_BYTES];
    *pass = (struct gate_pass){0};
    if (!gate || !token[0])
        return;
    uuid_make_v4(nonce);
    snprintf(pass->held, sizeof pass->held, OURS "%s", nonce);
    snprintf(pass->key, sizeof pass->key, "%scompletion_token:%lld:%s", gate->prefix,
             (long long)job_id, token);
    enum taken taken = take_within(gate, pass);
    gate->entered += taken == TAKEN;
    /* An unknown one may be ours, so gate_leave tries to give it back. */
    if (taken != TAKEN && taken != TAKEN_UNKNOWN)
        pass->key[0] = '\0';
}

void gate_leave(struct gate *gate, struct gate_pass *pass, bool committed)
{
    char life[SECONDS_BYTES];
    if (!gate || !pass->key[0])
        return;
    snprintf(life, sizeof life, "%d", GATE_COMPLETED_S);
    const char *const words[] = {"EVAL",     gate_script_leave,          "1",  pass->key,
                                 pass->held, committed ? COMPLETED : "", life, NULL};
    struct gate_reply ignored;
    ask(gate, words, GATE_LEAVE_TURN_MS, &ignored);
    pass->key[0] = '\0';
}

static char *sweep_key(const struct gate *gate, enum gate_sweep kind)
{
    const char *name = kind == GATE_SWEEP_ORPHANS ? "orphan_cleanup" : "stale_job_checker";
    return must_printf("%s%s:last_run", gate->prefix, name);
}

void gate_note_sweep(struct gate *gate, enum gate_sweep kind, const char *now)
{
    char life[SECONDS_BYTES];
    if (!gate)
        return;
    TEXT(key) = sweep_key(gate, kind);
    snprintf(life, sizeof life, "%d", GATE_SWEEP_S);
    const char *const words[] = {"SET", key, now, "EX", life, NULL};
    struct gate_reply ignored;
    gate_keeper_wait(gate->keeper, GATE_WAIT_MS);
    ask(gate, words, GATE_TURN_MS, &ignored);
}

int64_t gate_last_sweep_ms(struct gate *gate, enum gate_sweep kind)
{
    if (!gate)
        return 0;
    TEXT(key) = sweep_key(gate, kind);
    const char *const words[] = {"GETRANGE", key, "0", "63", NULL};
    struct gate_reply reply;
    int64_t us;
    gate_keeper_wait(gate->keeper, GATE_WAIT_MS);
    bool is_time = ask(gate, words, GATE_TURN_MS, &reply) == GATE_ANSWERED &&
                   reply.type == GATE_REPLY_TEXT && strlen(reply.text) == reply.size &&
                   wall_parse(reply.text, &us);
    return is_time ? us / 1000 : 0;
}

int gate_ping(struct gate *gate, struct error *err)
{
    char reason[GATE_REASON_BYTES];
    if (!gate)
        return 0;
    gate_keeper_wait(gate->keeper, PING_MS);
    if (gate_keeper_state(gate->keeper, reason) == GATE_CLOSED)
        return 0;
    return error_set(err, ERROR_TEMPORARY, 0, "%s",
                     reason[0] ? reason : "could not connect within 3 s");
}

void gate_counts(struct gate *gate, struct gate_counts *counts)
{
    *counts = (struct gate_counts){.state = GATE_NONE};
    if (!gate)
        return;
    counts->entered = gate->entered;
    counts->waited = gate->waited;
    counts->not_ours = gate->not_ours;
    counts->skipped_open = gate->outcomes[GATE_SKIPPED_OPEN];
    counts->skipped_slow = gate->outcomes[GATE_SKIPPED_SLOW];
    counts->failed = gate->outcomes[GATE_FAILED];
    counts->state = gate_keeper_state(gate->keeper, counts->reason);
}
