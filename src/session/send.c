#include "session/send.h"

#include <string.h>

#include "merge/merger_internal.h"
#include "session/connect.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/spans.h"
#include "wire/compressed.h"

bool send_bytes(struct client *client, const uint8_t *message, size_t len)
{
    struct error err;
    struct upstream_connection *connection = connect_upstream(client);
    if (connection == NULL)
        return false;
    counters_add(client_counters(client), COUNTER_UPSTREAM_REQUESTS, 1);
    if (link_send(&connection->link, message, len, &err))
        return true;
    client_send_failed(client, &connection->link, &err);
    return false;
}

bool send_buffer(struct client *client, struct buffer *message)
{
    struct error err;
    struct upstream_connection *connection = connect_upstream(client);
    bool sent = connection != NULL;
    counters_add(client_counters(client), COUNTER_UPSTREAM_REQUESTS, sent);
    if (sent && !link_send_buffer(&connection->link, message, buffer_length(message), &err)) {
        client_send_failed(client, &connection->link, &err);
        sent = false;
    }
    buffer_release(message, &client->worker->shared->budget);
    return sent;
}

bool send_question(struct client *client, const struct message *message, uint32_t error_labels,
                   const uint8_t *question, size_t len)
{
    struct wire_header header = wire_header_read(question);
    struct pending pending = {.expected_response_to = header.request_id,
                              .request_id = message->header.request_id,
                              .watched = true,
                              .error_labels = error_labels,
                              .question = true,
                              .command = message->command,
                              .sent_us = clock_now_us()};
    (void)pending_push(&client->pending, &pending);
    return send_bytes(client, question, len);
}

bool send_unasked_question(struct client *client, const uint8_t *question, size_t len)
{
    struct wire_header header = wire_header_read(question);
    struct pending pending = {.expected_response_to = header.request_id,
                              .watched = true,
                              .question = true,
                              .streaming = true, /* no error can answer it */
                              .sent_us = clock_now_us()};
    (void)pending_push(&client->pending, &pending);
    return send_bytes(client, question, len);
}

/* Writes the header before flags and sections. It omits the parts that the proxy must not copy from
 * the client's message: the checksum, and the permission to stream the answer. */
static void write_header(uint8_t *payload, size_t payload_len, int32_t request_id)
{
    uint32_t flags = bytes_load_u32(payload);
    struct wire_header header = {.length = (int32_t)(WIRE_HEADER_BYTES + payload_len),
                                 .request_id = request_id,
                                 .opcode = WIRE_OP_MSG};
    flags &= ~(uint32_t)(WIRE_FLAG_CHECKSUM_PRESENT | WIRE_FLAG_EXHAUST_ALLOWED);
    bytes_store_i32(payload, (int32_t)flags);
    wire_header_write(payload - WIRE_HEADER_BYTES, &header);
}

uint8_t *send_frame_payload(struct client *client, int32_t request_id, struct bytes payload,
                            size_t *len)
{
    if ((bytes_load_u32(payload.pos) & WIRE_FLAG_CHECKSUM_PRESENT) != 0)
        payload.end -= 4;
    *len = WIRE_HEADER_BYTES + bytes_left(&payload);
    uint8_t *message = memory_alloc(*len);
    if (message == NULL) {
        client_end(client, "out of memory for a request");
        return NULL;
    }
    memcpy(message + WIRE_HEADER_BYTES, payload.pos, bytes_left(&payload));
    write_header(message + WIRE_HEADER_BYTES, bytes_left(&payload), request_id);
    return message;
}

void send_frame_buffer(struct buffer *payload, int32_t request_id)
{
    write_header(buffer_begin(payload), buffer_length(payload), request_id);
    payload->start -= WIRE_HEADER_BYTES;
}

bool send_silently(struct client *client, int32_t request_id, struct buffer *payload)
{
    send_frame_buffer(payload, request_id);
    return send_buffer(client, payload);
}

/* True only if the connection's own hello negotiated it. */
static bool is_compressed_upstream(const struct client *client, uint8_t compressor)
{
    const struct upstream_connection *connection = lease_connection(client);
    return compressor != WIRE_COMPRESSOR_NOOP && connection != NULL &&
           (connection->compressors & 1U << compressor) != 0;
}

bool send_command(struct client *client, const struct message *message, struct bytes payload,
                  uint32_t error_labels, struct merger_permit *permit)
{
    size_t len = 0;
    uint8_t *packed = NULL;
    size_t packed_len = 0;
    struct pending pending = {.expected_response_to = message->header.request_id,
                              .request_id = message->header.request_id,
                              .error_labels = error_labels,
                              .permit = permit,
                              .trail = spans_send(client),
                              .command = message->command,
                              .sent_us = client_now_us(client)};
    (void)pending_push(&client->pending, &pending);
    uint8_t *plain = send_frame_payload(client, message->header.request_id, payload, &len);
    if (plain == NULL)
        return false;
    bool pack = is_compressed_upstream(client, message->compressor) &&
                wire_compressed_write(message->compressor, plain, len, &packed, &packed_len);
    bool sent = pack ? send_bytes(client, packed, packed_len) : send_bytes(client, plain, len);
    memory_free(packed);
    memory_free(plain);
    return sent;
}
