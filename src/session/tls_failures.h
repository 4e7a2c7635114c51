/* Failed TLS handshakes of clients and of upstream connections: a log line with the reason, and a
 * count by cause. A client that connects and closes without a byte (a health check) is no failure.
 */
#ifndef SLUICE_SESSION_TLS_FAILURES_H
#define SLUICE_SESSION_TLS_FAILURES_H

#include "session/client.h"

/* Call them on the worker's thread when the link fails, before it is closed; they look at the link
 * whether TLS failed. */
void tls_failures_note_client(struct client *client, const char *reason);
void tls_failures_note_upstream(struct upstream_connection *connection, const char *reason);
/* The handshake timeout of a client is over. */
void tls_failures_note_timeout(struct client *client);

#endif
