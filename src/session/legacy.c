#include "session/legacy.h"

#include "base/memory.h"
#include "session/answer.h"
#include "session/life.h"
#include "wire/compressed.h"

/* Logs once for each connection: a probing driver is worth a line, a flood is not. */
static void note_refused(struct client *client, const char *what)
{
    counters_add(client_counters(client), COUNTER_REQUESTS_REFUSED, 1);
    if (client->legacy_logged)
        return;
    client->legacy_logged = true;
    LOG_I(LOG_NETWORK, 1018, client->context, "The client uses a removed part of the protocol",
          LOG_STR("request", what));
}

bool legacy_refuse_command(struct client *client, const struct message *message,
                           const struct wire_command *request)
{
    struct error err;
    (void)error_set(&err, ERROR_UNSUPPORTED_OP_QUERY_COMMAND,
                    "Unsupported OP_QUERY command: %.100s. MongoDB 5.1 removed it, and mongosluice "
                    "refuses it: use a driver that speaks OP_MSG",
                    request->name);
    note_refused(client, request->name);
    return answer_error(client, message, &err, 0);
}

bool legacy_refuse_read(struct client *client, const struct wire_header *header)
{
    const char *name = header->opcode == WIRE_OP_QUERY ? "OP_QUERY" : "OP_GET_MORE";
    struct error err;
    uint8_t *reply = NULL;
    size_t len = 0;
    (void)error_set(&err, ERROR_LEGACY_OPCODE_REMOVED,
                    "%s is no longer supported: MongoDB 5.1 removed it, and mongosluice refuses "
                    "it; use a driver that speaks OP_MSG",
                    name);
    note_refused(client, name);
    if (!wire_reply_query_failure(header->request_id, &err, &reply, &len)) {
        client_end(client, "out of memory for a reply");
        return false;
    }
    bool sent = answer_send(client, WIRE_COMPRESSOR_NOOP, reply, len);
    memory_free(reply);
    return sent;
}

void legacy_drop_write(struct client *client, const struct wire_header *header)
{
    note_refused(client, wire_legacy_opcode_name(header->opcode));
}
