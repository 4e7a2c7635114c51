/* Legacy opcodes, and commands other than hello and authentication that come as OP_QUERY. They are
 * answered as MongoDB 6 answers them, whatever the upstream server still takes, so that no write
 * passes unchecked. The connection stays open: some drivers probe the protocol this way. */
#include "base/memory.h"
#include "session/session_internal.h"

/* Once for each connection: a probing driver is worth a line, a flood is not. */
static void note_refused(struct session *session, const char *what)
{
    counters_add(session_counters(session), COUNTER_REQUESTS_REFUSED, 1);
    if (session->legacy_logged)
        return;
    session->legacy_logged = true;
    LOG_I(LOG_NETWORK, 1018, session->context, "The client uses a removed part of the protocol",
          LOG_STR("request", what));
}

bool session_refuse_legacy_command(struct session *session, const struct message *message,
                                   const struct request *request)
{
    struct error err;
    (void)error_set(&err, ERROR_UNSUPPORTED_OP_QUERY_COMMAND,
                    "Unsupported OP_QUERY command: %.100s. MongoDB 5.1 removed it and mongosluice "
                    "does not take it: use a driver that speaks OP_MSG",
                    request->name);
    note_refused(session, request->name);
    return session_answer_error(session, message, &err, 0);
}

bool session_refuse_legacy_read(struct session *session, const struct wire_header *header)
{
    const char *name = header->opcode == WIRE_OP_QUERY ? "OP_QUERY" : "OP_GET_MORE";
    struct error err;
    uint8_t *reply = NULL;
    size_t len = 0;
    (void)error_set(&err, ERROR_LEGACY_OPCODE_REMOVED,
                    "%s is no longer supported: MongoDB 5.1 removed it and mongosluice does not "
                    "take it; use a driver that speaks OP_MSG",
                    name);
    note_refused(session, name);
    if (!wire_reply_query_failure(header->request_id, &err, &reply, &len)) {
        session_end(session, "out of memory for a reply");
        return false;
    }
    bool sent = session_send_reply(session, WIRE_COMPRESSOR_NOOP, reply, len);
    memory_free(reply);
    return sent;
}

void session_drop_legacy_write(struct session *session, const struct wire_header *header)
{
    note_refused(session, wire_legacy_opcode_name(header->opcode));
}
