#include "agent/daemon/waiting.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t wall_of(int64_t at_ms, int64_t now_ms)
{
    return wall_us() + (at_ms > now_ms ? at_ms - now_ms : 0) * 1000;
}

static void say(struct record_waiting *waiting, const char *reason, const char *hint,
                int64_t since_us)
{
    *waiting = (struct record_waiting){.since_us = since_us};
    snprintf(waiting->reason, sizeof waiting->reason, "%s", reason);
    snprintf(waiting->hint, sizeof waiting->hint, "%s", hint ? hint : "");
}

static bool of_admission(const struct node *node, int64_t now_ms, struct record_waiting *waiting)
{
    char *reason = admission_explain(node, now_ms);
    if (!reason)
        return false;
    int64_t until_ms = admission_suspended_until_ms(node, now_ms);
    say(waiting, reason, admission_hint(node, now_ms), admission_since_us(node, now_ms));
    if (until_ms)
        waiting->next_us = wall_of(until_ms, now_ms);
    free(reason);
    return true;
}

bool waiting_of_node(const struct claim *claim, int64_t now_ms, struct record_waiting *waiting)
{
    const struct node *node = claim->node;
    if (of_admission(node, now_ms, waiting))
        return true;
    if (node->server.state != SERVER_FINE && node->server.state != SERVER_UNKNOWN) {
        say(waiting, node->server.reason, node->server.hint, node->server.since_us);
        waiting->next_us = wall_of(node->server.next_ms, now_ms);
        return true;
    }
    if (roster_slots_held(node) >= node->config->node.slots) {
        say(waiting, "every slot is in use", NULL, 0);
        return true;
    }
    *waiting = claim->waiting;
    return waiting->reason[0] != '\0';
}

bool waiting_of_report(const struct live *live, int64_t now_ms, struct record_waiting *waiting)
{
    const struct live_delivery *delivery = &live->delivery;
    if (!delivery->reason[0])
        return false;
    say(waiting, delivery->reason, delivery->hint, delivery->since_us);
    waiting->next_us = wall_of(delivery->due.at_ms, now_ms);
    return true;
}

/* Without the parts that differ at each attempt. */
static bool is_news(const struct record_waiting *former, const struct record_waiting *now)
{
    size_t length = strcspn(now->reason, ":");
    return strncmp(former->reason, now->reason, length) != 0 ||
           strcspn(former->reason, ":") != length;
}

void waiting_log(struct claim *claim, int64_t now_ms)
{
    struct record_waiting waiting;
    if (!waiting_of_node(claim, now_ms, &waiting))
        say(&waiting, "", NULL, 0);
    if (is_news(&claim->logged, &waiting))
        log_info(waiting.reason[0] ? "node.waiting" : "node.not_waiting",
                 LOG_TEXT("reason", waiting.reason), LOG_TEXT("hint", waiting.hint));
    claim->logged = waiting;
}
