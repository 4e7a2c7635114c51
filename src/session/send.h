/* Sends messages of the proxy upstream, on the connection whose lease the client holds. Every
 * function that answers bool answers false after the client left CLIENT_ACTIVE. */
#ifndef SLUICE_SESSION_SEND_H
#define SLUICE_SESSION_SEND_H

#include "net/buffer.h"
#include "session/client.h"

/* Sends a framed message. */
bool send_bytes(struct client *client, const uint8_t *message, size_t len);
/* The same; takes the buffer over. */
bool send_buffer(struct client *client, struct buffer *message);

/* A message of that payload, without what the client's may have but the proxy's must not: a
 * checksum, and leave to answer with a stream. memory_alloc'd; NULL after the client ended: memory
 * is out. */
uint8_t *send_frame_payload(struct client *client, int32_t request_id, struct bytes payload,
                            size_t *len);
/* The same of a payload that stands behind ENFORCE_FRONT_BYTES of the buffer, in its place. */
void send_frame_buffer(struct buffer *payload, int32_t request_id);

/* A framed question of the proxy's own, sent before the client's message is: errors answer that. */
bool send_question(struct client *client, const struct message *message, uint32_t error_labels,
                   const uint8_t *question, size_t len);
/* A request of the proxy's that nobody answers (w:0). The payload stands behind ENFORCE_FRONT_BYTES
 * of the buffer, which is taken over. */
bool send_silently(struct client *client, int32_t request_id, struct buffer *payload);
/* A command as it came, compressed as it came where the connection takes that; its reply goes to
 * the client as it comes. permit may be NULL. */
bool send_command(struct client *client, const struct message *message, struct bytes payload,
                  uint32_t error_labels, struct merger_permit *permit);

#endif
