/* Logins with a certificate. Where the proxy shows a certificate of its own to the servers, a
 * client that asks for MONGODB-X509 would be logged in as the proxy's user: the server sees the
 * proxy's TLS session, not the client's. Pure. */
#ifndef SLUICE_AUTH_CERTIFICATE_H
#define SLUICE_AUTH_CERTIFICATE_H

#include "base/bytes.h"

/* Whether a server might take the command for a login with the certificate of its connection. Every
 * login counts as one that does not name another mechanism exactly as drivers do: one field
 * `mechanism`, a string, of a mechanism that is known to use no certificate. name: the command's,
 * in any case. alone: the body is all that the message holds. */
bool certificate_may_log_in(const char *name, size_t len, struct bytes body, bool alone);

#endif
