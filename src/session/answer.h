/* Answers of the proxy's own to a client. All are false after the client ended. */
#ifndef SLUICE_SESSION_ANSWER_H
#define SLUICE_SESSION_ANSWER_H

#include "base/error.h"
#include "net/buffer.h"
#include "session/client.h"

/* Sends a framed message, compressed as its request was. */
bool answer_send(struct client *client, uint8_t compressor, const uint8_t *message, size_t len);
/* To a request that nothing was sent upstream for. */
bool answer_document(struct client *client, const struct message *message, struct bytes document);
bool answer_error(struct client *client, const struct message *message, const struct error *error,
                  uint32_t labels);
/* A document that stands behind ENFORCE_FRONT_BYTES of a buffer, which is taken over. */
bool answer_buffer(struct client *client, const struct message *message, struct buffer *document);

#endif
