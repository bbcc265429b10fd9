/* command_webhook: `webhook test`. */
#ifndef VERIFIER_COMMAND_WEBHOOK_H
#define VERIFIER_COMMAND_WEBHOOK_H

#include "verifier/cli/command.h"

/* Sends the event "ping" to the receiver and prints its answer. STATUS_REFUSED: the receiver does
 * not accept it. */
int command_webhook_test(const struct verifier_config *config, const struct command *command);

#endif
