#include "agent/daemon/server_link.h"

#include "agent/api/connect.h"
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

void node_server_is(struct node *node, enum server_state state, const char *reason)
{
    if (state == node->server)
        return;
    bool was_known = node->server != SERVER_UNKNOWN;
    node->server = state;
    node->server_since_us = wall_us();
    snprintf(node->server_reason, sizeof node->server_reason, "%s", reason);
    node->is_status_due = true;
    if (state == SERVER_FINE) {
        log_info("server.ok", LOG_TEXT("url", node->config->server.url));
        node->wakes_deliveries = was_known;
        node->is_control_due =
            true; /* a refusal received before this may be the last one (control.c) */
        if (was_known)
            node->fine_since_us = node->server_since_us;
        return;
    }
    log_at(state == SERVER_UNREACHED || state == SERVER_FAILING ? LOG_WARNING : LOG_ERROR,
           "server.trouble", LOG_TEXT("url", node->config->server.url),
           LOG_TEXT("state", server_state_name(state)), LOG_TEXT("reason", reason));
}

static void release_held(struct node *node)
{
    for (struct live *live = node->lives; live; live = live->next)
        live->delivery.is_held = false;
    node->wakes_deliveries = true;
}

void node_renew_key(struct node *node)
{
    struct error err;
    if (!node->is_key_refused)
        return;
    node->is_key_refused = false;
    int renewed = connect_renew_key(node->config, node->http, &err);
    if (renewed < 0)
        log_warning("key.unreadable", LOG_TEXT("reason", err.message));
    if (renewed <= 0)
        return;
    log_info("key.reloaded", LOG_TEXT("file", node->config->server.api_key_file));
    release_held(node);
}

enum server_state node_server_state(enum tailslate_answer_class class)
{
    if (class == TAILSLATE_ANSWER_OK)
        return SERVER_FINE;
    if (class == TAILSLATE_ANSWER_UNTRUSTED)
        return SERVER_NOT_TRUSTED;
    if (class == TAILSLATE_ANSWER_UNREACHED || class == TAILSLATE_ANSWER_LOCAL_FAILURE)
        return SERVER_UNREACHED;
    return tailslate_answer_concerns_key(class) ? SERVER_KEY_REFUSED : SERVER_FAILING;
}

enum server_state node_server_state_of(const struct http_answer *answer, char *reason,
                                       size_t capacity)
{
    enum server_state state = node_server_state(http_answer_class(answer));
    if (answer->reach != TAILSLATE_REACH_ANSWERED)
        snprintf(reason, capacity, "%s", answer->error.message);
    else if (state == SERVER_FINE)
        reason[0] = '\0';
    else
        snprintf(reason, capacity, "HTTP %ld%s%.200s", answer->status,
                 answer->problem.detail[0] ? ": " : "", answer->problem.detail);
    return state;
}
