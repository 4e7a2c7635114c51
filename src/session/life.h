/* The end of a client: at once, with an error, or after it has read its remaining answers. */
#ifndef SLUICE_SESSION_LIFE_H
#define SLUICE_SESSION_LIFE_H

#include "base/error.h"
#include "session/client.h"
#include "wire/reply.h"

/* The time for a client to read an error, or for its last w:0 write to leave. */
enum { CLIENT_LINGER_MS = 5000 };

/* Ends the client now: closes its connection, gives the lease back, and frees its memory. `reason`
 * is logged. */
void client_end(struct client *client, const char *reason);

/* Answers `to` (NULL: no answer is possible) with an error, gives the lease back, and ends the
 * client after it has read the error. */
void client_fail(struct client *client, const struct wire_reply_to *to, const struct error *error,
                 uint32_t labels, enum counter counter);

/* Does the same in answer to the oldest pending request. */
void client_fail_pending(struct client *client, const struct error *error, enum counter counter);

/* Does the same in answer to a request that cannot get its regular answer; `len` bytes of it have
 * arrived. */
void client_fail_begun(struct client *client, const uint8_t *data, size_t len,
                       const struct error *error, enum counter counter);

/* The upstream closed: the client gets its waiting bytes, then a FIN. */
void client_linger(struct client *client, const char *reason);

/* A link of the client or of its connection broke: ends the client. */
void client_io_failed(struct client *client, struct link *link, const struct error *error);
/* Sending to that side failed: ends the client, with the error's cause. */
void client_send_failed(struct client *client, struct link *to, const struct error *error);

/* Removes it from the count of clients or of refused clients. */
void client_count_out(struct session_worker *worker, bool refused);

/* True if a command of the client is under way; an awaiting hello does not count. */
bool client_runs_command(const struct client *client);

#endif
