/* Renumbers the results of a bulkWrite that the proxy replaced. */
#ifndef SLUICE_SESSION_BULK_RESULTS_H
#define SLUICE_SESSION_BULK_RESULTS_H

#include "session/client.h"

/* True if there is a cursor that killCursors or endSessions may end. */
bool bulk_results_are_kept(const struct client *client, const struct wire_command *request);

/* Handler for getMore. */
enum request_step bulk_results_take(struct client *client, const struct message *message,
                                    struct wire_command *request);
/* Handler for the reply to killCursors. */
bool bulk_results_take_kill(struct client *client, struct reply *reply);

#endif
