/* The proxy's own answers to a client. All functions return false after the client ended. */
#ifndef SLUICE_SESSION_ANSWER_H
#define SLUICE_SESSION_ANSWER_H

#include "base/error.h"
#include "net/buffer.h"
#include "session/client.h"

/* Sends a framed message, compressed like its request. */
bool answer_send(struct client *client, uint8_t compressor, const uint8_t *message, size_t len);
/* Answers a request that the proxy did not send upstream. */
bool answer_document(struct client *client, const struct message *message, struct bytes document);
bool answer_error(struct client *client, const struct message *message, const struct error *error,
                  uint32_t labels);
/* Refuses the request, and counts that. The client keeps its connection, so that a driver's retry
 * finds it. It loses it with a request that wants no reply, that is legacy or that has not arrived
 * whole. */
bool answer_refusal(struct client *client, const struct message *message,
                    const struct wire_command *request, const struct error *error, uint32_t labels,
                    enum counter counter);
/* Answers with a document behind ENFORCE_FRONT_BYTES of a buffer; takes the buffer over. */
bool answer_buffer(struct client *client, const struct message *message, struct buffer *document);

#endif
