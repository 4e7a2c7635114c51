/* The proxy's question to a server for the identity of a connection: connectionStatus. */
#ifndef SLUICE_SESSION_QUESTION_H
#define SLUICE_SESSION_QUESTION_H

#include "bson/scan.h"

/* Builds {connectionStatus: 1, $db: "admin"}, framed, with the API version of the client's commands
 * (NULL: none), because a server may require one. Without apiStrict: the answer does not need it.
 * Its requestID is one that no client can guess. Otherwise a server that answers a message without
 * a reply could be made to answer for this question. False without memory or random bytes;
 * otherwise *out is from memory_alloc. */
bool question_build(const struct scan_element *api_version, uint8_t **out, size_t *len);

#endif
