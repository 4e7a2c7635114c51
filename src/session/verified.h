/* Logins that the proxy checks itself (option auth.verifiers), for clients in `shared` mode: SCRAM
 * by saslStart and saslContinue, or begun in a hello. Only when the proof is right does the client
 * get the user's pool; if this has no connection yet, the login waits for the first one. Everything
 * else goes to the server, as without the option: other mechanisms, users of $external and local,
 * and users whose verifiers cannot be read. */
#ifndef SLUICE_SESSION_VERIFIED_H
#define SLUICE_SESSION_VERIFIED_H

#include "session/client.h"

/* For a request of a client with `sharing`, before it gets a connection. STEP_PASS: the request is
 * not part of such a login. Other steps as for handlers; STEP_LEASE: it waits in the user's pool.
 */
enum request_step verified_admit(struct client *client, const struct message *message,
                                 const struct wire_command *request);

#endif
