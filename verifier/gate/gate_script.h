/* gate_script: what is asked of Redis: two scripts and plain commands, over one connection.
 *
 * A script, so that a key is taken and its holder learned in one step, and given back only by who
 * holds it. Whatever the key holds (another type, megabytes of it), the reply is short and the
 * script does not fail. Run by its digest, as a whole where Redis has forgotten it. */
#ifndef VERIFIER_GATE_SCRIPT_H
#define VERIFIER_GATE_SCRIPT_H

#include "verifier/gate/gate_redis.h"

enum gate_script {
    GATE_SCRIPT_ENTER, /* key, value, life in s -> 1, or the first bytes of what the key holds */
    GATE_SCRIPT_LEAVE, /* key, value, new value ("": delete), life in s -> 1 where it was ours */
    GATE_PLAIN,        /* the words are the command */
};
enum { GATE_SCRIPTS = GATE_PLAIN };

struct gate_digests {
    char text[GATE_SCRIPTS][GATE_TEXT_BYTES]; /* as Redis said them */
};

struct gate_question {
    enum gate_script script;
    const char *words[GATE_WORDS_MAX];
    size_t count;
};

/* Leaves the scripts with Redis. */
int gate_scripts_load(struct gate_link *link, struct gate_digests *digests, struct error *err);

/* A refusal is an error; but that a plain command found another type at its key is an answer. */
int gate_ask(struct gate_link *link, const struct gate_digests *digests,
             const struct gate_question *question, int64_t deadline_mono_ms,
             struct gate_reply *reply, struct error *err);

#endif
