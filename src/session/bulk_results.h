/* Results of a bulkWrite that was replaced: its cursor's batches are numbered as the client does.
 */
#ifndef SLUICE_SESSION_BULK_RESULTS_H
#define SLUICE_SESSION_BULK_RESULTS_H

#include "session/client.h"

/* Whether anything is kept that killCursors or endSessions may end. */
bool bulk_results_are_kept(const struct client *client);

/* getMore */
enum request_step bulk_results_take(struct client *client, const struct message *message,
                                    struct wire_command *request);
/* Reply to killCursors. */
bool bulk_results_take_kill(struct client *client, struct reply *reply);

#endif
