/* A client's users, for the log and for operators. */
#ifndef SLUICE_SESSION_DESCRIBED_USERS_H
#define SLUICE_SESSION_DESCRIBED_USERS_H

#include "session/session_metrics.h"

struct client;
struct upstream_connection;

/* By the server's word, otherwise as the proxy has verified, otherwise as the client claims; ""
 * without any. Returns `out`. */
const char *described_users(const struct client *client, char out[SESSION_IDENTITY_BYTES]);

/* The users of a shared connection; "" without any, or if they are unknown. */
const char *described_users_of(const struct upstream_connection *connection,
                               char out[SESSION_IDENTITY_BYTES]);

#endif
