/* Sends messages of the proxy upstream, on the connection whose lease the client holds. Every
 * function with a bool result returns false after the client left CLIENT_ACTIVE. */
#ifndef SLUICE_SESSION_SEND_H
#define SLUICE_SESSION_SEND_H

#include "net/buffer.h"
#include "session/client.h"

/* Sends a framed message. */
bool send_bytes(struct client *client, const uint8_t *message, size_t len);
/* Does the same; takes the buffer over. */
bool send_buffer(struct client *client, struct buffer *message);

/* Frames a payload as a message without the parts that the proxy must not copy from the client: a
 * checksum, and the permission to stream the answer. From memory_alloc; NULL without memory, after
 * the client ended. */
uint8_t *send_frame_payload(struct client *client, int32_t request_id, struct bytes payload,
                            size_t *len);
/* Does the same in place, for a payload behind ENFORCE_FRONT_BYTES of the buffer. */
void send_frame_buffer(struct buffer *payload, int32_t request_id);

/* Sends a framed question of the proxy before the client's message; an error answers that message.
 */
bool send_question(struct client *client, const struct message *message, uint32_t error_labels,
                   const uint8_t *question, size_t len);
/* Does the same when no message of the client waits: the client never sees an error of it. */
bool send_unasked_question(struct client *client, const uint8_t *question, size_t len);
/* Sends a request of the proxy without a reply (w:0). The payload is behind ENFORCE_FRONT_BYTES of
 * the buffer, which is taken over. */
bool send_silently(struct client *client, int32_t request_id, struct buffer *payload);
/* Sends a command unchanged, compressed as before if the connection allows it; its reply goes to
 * the client unchanged. `permit` may be NULL. */
bool send_command(struct client *client, const struct message *message, struct bytes payload,
                  uint32_t error_labels, struct merger_permit *permit);

#endif
