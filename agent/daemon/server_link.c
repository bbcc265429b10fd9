#include "agent/daemon/server_link.h"

#include "agent/api/connect.h"
#include "agent/api/explain.h"
#include "agent/daemon/node.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

static const char *const server_names[SERVER_STATE_COUNT] = {
    [SERVER_UNKNOWN] = "unknown",         [SERVER_FINE] = "fine",
    [SERVER_UNREACHED] = "unreached",     [SERVER_NOT_TRUSTED] = "not_trusted",
    [SERVER_KEY_REFUSED] = "key_refused", [SERVER_FAILING] = "failing",
};

const char *server_state_name(enum server_state state)
{
    must(state < SERVER_STATE_COUNT);
    return server_names[state];
}

int server_link_open(struct node *node, struct error *err)
{
    node->server = (struct server_link){.fine_since_us = wall_us()};
    node->server.client = connect_client(node->config, err);
    return node->server.client ? 0 : -1;
}

void server_link_close(struct node *node)
{
    http_client_free(node->server.client);
    node->server.client = NULL;
}

void server_link_replace(struct node *node, struct http_client *client)
{
    server_link_close(node);
    node->server.client = client;
}

/* A refusal received before the server was back may be the last one (control.c). */
static void note_return(struct node *node, bool was_known)
{
    struct server_link *server = &node->server;
    log_info("server.ok", LOG_TEXT("url", node->config->server.url));
    node_control_changed(node);
    if (!was_known)
        return;
    server->fine_since_us = server->since_us;
    if (server->wake == SERVER_WAKE_NONE)
        server->wake = SERVER_WAKE_WAITING;
}

void server_link_note(struct node *node, const struct http_answer *answer)
{
    struct server_link *server = &node->server;
    char reason[SERVER_REASON_BYTES];
    enum server_state state = server_state_of(answer, reason);
    const char *hint = state == SERVER_FINE ? NULL : explain_hint(answer);
    bool was_known = server->state != SERVER_UNKNOWN, is_new = state != server->state;
    if (!is_new && hint == server->hint)
        return;
    if (is_new)
        server->since_us = wall_us();
    server->state = state;
    server->hint = hint;
    snprintf(server->reason, sizeof server->reason, "%s", reason);
    node_status_changed(node);
    if (state == SERVER_FINE) {
        note_return(node, was_known);
        return;
    }
    log_at(state == SERVER_UNREACHED || state == SERVER_FAILING ? LOG_WARNING : LOG_ERROR,
           "server.trouble", LOG_TEXT("url", node->config->server.url),
           LOG_TEXT("state", server_state_name(state)), LOG_TEXT("reason", reason),
           LOG_TEXT("hint", hint ? hint : ""));
}

void server_link_note_heartbeat(struct node *node, int64_t next_ms)
{
    node->server.next_ms = next_ms;
}

void server_link_note_key_refused(struct node *node)
{
    node->server.is_key_refused = true;
}

void server_link_renew_key(struct node *node)
{
    struct error err;
    if (!node->server.is_key_refused)
        return;
    node->server.is_key_refused = false;
    int renewed = connect_renew_key(node->config, node->server.client, &err);
    if (renewed < 0)
        log_warning("key.unreadable", LOG_TEXT("reason", err.message));
    if (renewed <= 0)
        return;
    log_info("key.reloaded", LOG_TEXT("file", node->config->server.api_key_file));
    node->server.wake = SERVER_WAKE_ALL;
}

enum server_wake server_link_take_wake(struct node *node)
{
    enum server_wake wake = node->server.wake;
    node->server.wake = SERVER_WAKE_NONE;
    return wake;
}

void server_link_note_report(struct node *node, int64_t now_ms)
{
    node->server.not_before_ms = now_ms + (int64_t)(1000 / node->config->retry.rate_per_second);
}

enum server_state server_state_of_class(enum tailslate_answer_class class)
{
    if (class == TAILSLATE_ANSWER_OK)
        return SERVER_FINE;
    if (class == TAILSLATE_ANSWER_UNTRUSTED)
        return SERVER_NOT_TRUSTED;
    if (class == TAILSLATE_ANSWER_UNREACHED || class == TAILSLATE_ANSWER_LOCAL_FAILURE)
        return SERVER_UNREACHED;
    return tailslate_answer_concerns_key(class) ? SERVER_KEY_REFUSED : SERVER_FAILING;
}

enum server_state server_state_of(const struct http_answer *answer,
                                  char reason[SERVER_REASON_BYTES])
{
    _Static_assert((int)SERVER_REASON_BYTES == (int)EXPLAIN_BYTES, "a reason is an explanation");
    enum server_state state = server_state_of_class(http_answer_class(answer));
    reason[0] = '\0';
    if (state != SERVER_FINE)
        explain_answer(answer, reason);
    return state;
}
