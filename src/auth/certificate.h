/* Finds logins with a certificate. If the proxy shows its own certificate to the servers, a client
 * that asks for MONGODB-X509 would be logged in as the proxy's user: the server sees the proxy's
 * TLS session and not the client's. Pure. */
#ifndef SLUICE_AUTH_CERTIFICATE_H
#define SLUICE_AUTH_CERTIFICATE_H

#include "base/bytes.h"

/* True if a server might treat the command as a login with the certificate of its connection. This
 * holds for every login, unless it names another mechanism exactly as drivers do: one field
 * `mechanism`, a string, with a mechanism that is known to use no certificate. `name` is the
 * command's name in any case. `alone` says that the message holds only the body. */
bool certificate_may_log_in(const char *name, size_t len, struct bytes body, bool alone);

#endif
