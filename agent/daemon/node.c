#include "agent/daemon/node.h"

void node_status_changed(struct node *node)
{
    node->is_status_due = true;
}

void node_control_changed(struct node *node)
{
    node->is_control_due = true;
}

void node_record_changed(struct live *live)
{
    due_put(&live->node->changes, &live->change, 0, 0);
}

void node_record_read(struct live *live)
{
    due_take(&live->node->changes, &live->change);
}

bool node_take_status_change(struct node *node)
{
    bool is_due = node->is_status_due;
    node->is_status_due = false;
    return is_due;
}

bool node_take_control_change(struct node *node)
{
    bool is_due = node->is_control_due;
    node->is_control_due = false;
    return is_due;
}

int64_t soonest_ms(int64_t a, int64_t b)
{
    if (a == NODE_NEVER)
        return b;
    return b == NODE_NEVER || a < b ? a : b;
}
