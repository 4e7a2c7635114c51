/* {mongosluice: 1}: what is enforced here, for those who have only a driver.
 *
 *   {mongosluice: 1, [namespaces: ["db.collection", …]]}
 *   → {mongosluice: {version, uptimeMillis}, schemas: [{ns, hash, hashes, dialect, level, action,
 *      unproved, allowBypass, origin}], leftOut: [{ns, reason}], ok: 1}
 *
 * hash and dialect are those of the newest version; hashes those of all that are accepted now.
 * Schemas of all namespaces, or of those that are named: one without a schema is not there. leftOut
 * has the collections whose validators are left to the server.
 */
#ifndef SLUICE_SESSION_PROXY_STATUS_H
#define SLUICE_SESSION_PROXY_STATUS_H

#include "session/client.h"

enum request_step proxy_status_take(struct client *client, const struct message *message,
                                    struct wire_command *request);

#endif
