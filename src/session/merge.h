/* Group commit: inserts go to the worker's merger, which says what becomes of each. */
#ifndef SLUICE_SESSION_MERGE_H
#define SLUICE_SESSION_MERGE_H

#include "base/error.h"
#include "session/client.h"

bool merge_start(struct session_worker *worker, struct error *err);
/* After the settings changed. */
void merge_configure(struct session_worker *worker);
/* When no client is left. */
void merge_stop(struct session_worker *worker);
void merge_drain(struct session_worker *worker);

/* Whether the server has to be asked who the connection is before the insert is given to
 * merge_insert. */
bool merge_must_ask(struct client *client, const struct wire_command *request);
/* Whether merge_insert has to see this request. */
bool merge_concerns(const struct client *client, const struct message *message,
                    const struct wire_command *request);
/* A command went by that merge_insert does not see. */
void merge_note_passed(struct client *client, const struct wire_command *request);
/* An insert, whole, with nothing before it unanswered. */
enum request_step merge_insert(struct client *client, const struct message *message,
                               const struct wire_command *request);

#endif
