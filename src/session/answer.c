#include "session/answer.h"

#include <string.h>

#include "base/memory.h"
#include "session/life.h"
#include "session/request.h"
#include "session/spans.h"
#include "wire/compressed.h"

/* Larger answers are sent uncompressed even if the request was compressed: zlib takes milliseconds
 * for a megabyte, and every client can read both. */
enum { PACKED_ANSWER_BYTES = 64 * 1024 };

/* A document of this length is framed without an allocation. */
enum { SMALL_ANSWER_BYTES = 1024 };

/* Called before the answer is sent, because the client may then read the figures. */
static void count(struct client *client, size_t len)
{
    counters_add(client_counters(client), COUNTER_REPLIES, 1);
    counters_add(client_counters(client), COUNTER_REPLY_BYTES, len);
    client->since_ms = clock_now_ms();
}

static bool end_unless(struct client *client, bool sent, const struct error *err)
{
    if (!sent)
        client_end(client, err->message);
    return sent;
}

static bool send_counted(struct client *client, const uint8_t *message, size_t len)
{
    struct error err;
    count(client, len);
    return end_unless(client, link_send(&client->link, message, len, &err), &err);
}

bool answer_send(struct client *client, uint8_t compressor, const uint8_t *message, size_t len)
{
    uint8_t *compressed = NULL;
    size_t compressed_len = 0;
    bool packed = compressor != WIRE_COMPRESSOR_NOOP && len <= PACKED_ANSWER_BYTES &&
                  wire_compressed_write(compressor, message, len, &compressed, &compressed_len);
    bool sent = packed ? send_counted(client, compressed, compressed_len)
                       : send_counted(client, message, len);
    memory_free(compressed);
    return sent;
}

bool answer_document(struct client *client, const struct message *message, struct bytes document)
{
    struct wire_reply_to to = {.request_id = message->header.request_id};
    uint8_t small[WIRE_REPLY_FRONT_BYTES + SMALL_ANSWER_BYTES];
    uint8_t *reply = NULL;
    size_t len = bytes_left(&document);
    spans_note_reply(client->trail, document);
    if (len <= SMALL_ANSWER_BYTES) {
        memcpy(small + WIRE_REPLY_FRONT_BYTES, document.pos, len);
        wire_reply_write_front(to, 0, 0, small + WIRE_REPLY_FRONT_BYTES, len);
        return answer_send(client, message->compressor, small, WIRE_REPLY_FRONT_BYTES + len);
    }
    if (!wire_reply_frame(to, 0, 0, document, &reply, &len)) {
        client_end(client, "out of memory for a reply");
        return false;
    }
    bool sent = answer_send(client, message->compressor, reply, len);
    memory_free(reply);
    return sent;
}

static bool send_buffer_counted(struct client *client, struct buffer *message)
{
    struct error err;
    size_t len = buffer_length(message);
    count(client, len);
    return end_unless(client, link_send_buffer(&client->link, message, len, &err), &err);
}

bool answer_buffer(struct client *client, const struct message *message, struct buffer *document)
{
    struct wire_reply_to to = {.request_id = message->header.request_id};
    spans_note_reply(client->trail, bytes_of(buffer_begin(document), buffer_length(document)));
    wire_reply_write_front(to, 0, 0, buffer_begin(document), buffer_length(document));
    document->start -= WIRE_REPLY_FRONT_BYTES;
    size_t len = buffer_length(document);
    bool packed = message->compressor != WIRE_COMPRESSOR_NOOP && len <= PACKED_ANSWER_BYTES;
    bool sent = packed ? answer_send(client, message->compressor, buffer_begin(document), len)
                       : send_buffer_counted(client, document);
    buffer_release(document, &client->worker->shared->budget);
    return sent;
}

bool answer_error(struct client *client, const struct message *message, const struct error *error,
                  uint32_t labels)
{
    struct wire_reply_to to = {.request_id = message->header.request_id,
                               .legacy = message->header.opcode == WIRE_OP_QUERY};
    uint8_t *reply = NULL;
    size_t len = 0;
    spans_note_refusal(client->trail, error->code);
    if (!wire_reply_error(to, error, labels, &reply, &len)) {
        client_end(client, "out of memory for a reply");
        return false;
    }
    bool sent = answer_send(client, message->compressor, reply, len);
    memory_free(reply);
    return sent;
}

bool answer_refusal(struct client *client, const struct message *message,
                    const struct wire_command *request, const struct error *error, uint32_t labels,
                    enum counter counter)
{
    struct wire_reply_to to = {.request_id = message->header.request_id, .legacy = request->legacy};
    if (request_is_silent(request) || request->legacy || !message->whole) {
        client_fail(client, request_is_silent(request) ? NULL : &to, error, labels, counter);
        return false;
    }
    counters_add(client_counters(client), counter, 1);
    return answer_error(client, message, error, labels);
}
