/* How a client ends: at once, with an error, or lingering until it has read what it was sent. */
#ifndef SLUICE_SESSION_LIFE_H
#define SLUICE_SESSION_LIFE_H

#include "base/error.h"
#include "session/client.h"
#include "wire/reply.h"

/* How long a client that was sent an error, or that left a w:0 write behind, is waited for. */
enum { CLIENT_LINGER_MS = 5000 };

/* Ends it now: its connection closed, its lease given back, its memory given back. `reason` is
 * logged. */
void client_end(struct client *client, const char *reason);

/* Answers `to` (NULL: nothing can be answered) with an error of the proxy's own, gives the lease
 * back, and ends the client once it has read that. */
void client_fail(struct client *client, const struct wire_reply_to *to, const struct error *error,
                 uint32_t labels, enum counter counter);

/* The same, in answer to the request that has waited longest. */
void client_fail_pending(struct client *client, const struct error *error, enum counter counter);

/* The same, in answer to a request that cannot be answered as it should, of which `len` bytes came.
 */
void client_fail_begun(struct client *client, const uint8_t *data, size_t len,
                       const struct error *error, enum counter counter);

/* The upstream closed: the client gets what waits, then FIN. */
void client_linger(struct client *client, const char *reason);

/* A link of the client's, or of its connection's, broke: that ends the client. */
void client_io_failed(struct client *client, struct link *link, const struct error *error);
/* What could not be sent to that side ends the client, by the error's cause. */
void client_send_failed(struct client *client, struct link *to, const struct error *error);

/* It is no longer one of the proxy's clients, or of those that are refused. */
void client_count_out(struct session_worker *worker, bool refused);

/* Whether a command of the client's is under way; a hello that waits for a change is none. */
bool client_runs_command(const struct client *client);

#endif
