/* Group commit: passes inserts to the worker's merger, which decides on each. */
#ifndef SLUICE_SESSION_MERGE_H
#define SLUICE_SESSION_MERGE_H

#include "base/error.h"
#include "merge/grouping.h"
#include "session/client.h"

bool merge_start(struct session_worker *worker, struct error *err);
/* Call it after a change of settings. */
void merge_configure(struct session_worker *worker);
/* Call it when no client is left. */
void merge_stop(struct session_worker *worker);
void merge_drain(struct session_worker *worker);

/* True if the server must be asked for the connection's identity before merge_insert gets the
 * insert. */
bool merge_must_ask(struct client *client, const struct wire_command *request);
/* NONE if merge_insert must see this insert; otherwise the reason why not. */
enum grouping_bar merge_bar(const struct client *client, const struct message *message,
                            const struct wire_command *request);
/* Notes and counts a command that merge_insert does not see; `bar` as for merger_count_apart. */
void merge_note_passed(struct client *client, const struct wire_command *request,
                       enum grouping_bar bar);
/* Handles a complete insert without unanswered requests before it. */
enum request_step merge_insert(struct client *client, const struct message *message,
                               const struct wire_command *request);

#endif
