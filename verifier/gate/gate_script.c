#include "verifier/gate/gate_script.h"

#include "base/clock.h"
#include "verifier/gate/gate.h"

#include <string.h>

static const char *const scripts[GATE_SCRIPTS] = {
    [GATE_SCRIPT_ENTER] = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then\n"
                          "  return 1\n"
                          "end\n"
                          "local held = redis.pcall('GETRANGE', KEYS[1], 0, 63)\n"
                          "return type(held) == 'string' and held or ''\n",
    [GATE_SCRIPT_LEAVE] = "if redis.pcall('GETRANGE', KEYS[1], 0, 63) ~= ARGV[1] then\n"
                          "  return 0\n"
                          "end\n"
                          "if ARGV[2] == '' then\n"
                          "  redis.call('DEL', KEYS[1])\n"
                          "else\n"
                          "  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\n"
                          "end\n"
                          "return 1\n",
};

static bool is_refusal(const struct gate_reply *reply, const char *word)
{
    return reply->type == GATE_REPLY_REFUSAL && strcmp(reply->text, word) == 0;
}

static int refused(const struct gate_reply *reply, struct error *err)
{
    if (reply->type != GATE_REPLY_REFUSAL)
        return error_set(err, ERROR_TEMPORARY, 0, "the server does not speak Redis");
    return error_set(err, ERROR_TEMPORARY, 0, "Redis answered %s", reply->text);
}

int gate_scripts_load(struct gate_link *link, struct gate_digests *digests, struct error *err)
{
    for (int i = 0; i < GATE_SCRIPTS; i++) {
        struct gate_reply reply;
        const char *const words[] = {"SCRIPT", "LOAD", scripts[i]};
        if (gate_link_call(link, words, 3, mono_ms() + GATE_CALL_MS, &reply, err) != 0)
            return error_wrap(err, "SCRIPT");
        if (reply.type != GATE_REPLY_TEXT)
            return refused(&reply, err);
        memcpy(digests->text[i], reply.text, sizeof reply.text);
    }
    return 0;
}

/* EVALSHA digest 1 key …, EVAL script 1 key … */
static int run_script(struct gate_link *link, const char *command, const char *script,
                      const struct gate_question *question, int64_t deadline_ms,
                      struct gate_reply *reply, struct error *err)
{
    const char *words[GATE_WORDS_MAX] = {command, script, "1"};
    size_t count = 3;
    for (size_t i = 0; i < question->count; i++) {
        must(count < GATE_WORDS_MAX);
        words[count++] = question->words[i];
    }
    return gate_link_call(link, words, count, deadline_ms, reply, err);
}

int gate_ask(struct gate_link *link, const struct gate_digests *digests,
             const struct gate_question *question, int64_t deadline_ms, struct gate_reply *reply,
             struct error *err)
{
    enum gate_script script = question->script;
    if (script == GATE_PLAIN) {
        if (gate_link_call(link, question->words, question->count, deadline_ms, reply, err) != 0)
            return -1;
    } else {
        if (run_script(link, "EVALSHA", digests->text[script], question, deadline_ms, reply, err) !=
            0)
            return -1;
        if (is_refusal(reply, "NOSCRIPT") &&
            run_script(link, "EVAL", scripts[script], question, deadline_ms, reply, err) != 0)
            return -1;
    }
    bool is_failure = reply->type == GATE_REPLY_REFUSAL && !is_refusal(reply, "WRONGTYPE");
    return is_failure ? refused(reply, err) : 0;
}
