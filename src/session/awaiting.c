#include "session/awaiting.h"

#include <string.h>

/* {pipeline: [{$changeStream: …}, …]} */
static bool begins_with_change_stream(const struct wire_command *request)
{
    struct scan_element pipeline;
    struct scan_element element;
    struct scan scan;
    return wire_command_find(request, "pipeline", &pipeline) && pipeline.kind == BSON_KIND_ARRAY &&
           scan_open(&scan, pipeline.value) && scan_next(&scan, &element) &&
           element.kind == BSON_KIND_OBJECT && scan_open(&scan, element.value) &&
           scan_next(&scan, &element) && SCAN_NAME_IS(&element, "$changeStream");
}

/* wire_command_find for one name, without a call for each field: every find passes here. */
static bool has_await_data(const struct wire_command *request)
{
    struct scan_element element;
    const uint8_t *body = request->body.pos;
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct wire_field *field = &request->fields[i];
        if (field->name_len != sizeof "awaitData" - 1 ||
            memcmp(body + field->name, "awaitData", sizeof "awaitData" - 1) != 0)
            continue;
        element = (struct scan_element){.kind = field->kind,
                                        .value = {body + field->value, body + field->end}};
        return scan_is_true(&element);
    }
    return bytes_left(&request->more_fields) > 0 &&
           wire_command_find(request, "awaitData", &element) && scan_is_true(&element);
}

bool awaiting_opens(const struct client *client, const struct wire_command *request)
{
    (void)client;
    return request->known == COMMAND_AGGREGATE ? begins_with_change_stream(request)
                                               : has_await_data(request);
}

bool awaiting_take_reply(struct client *client, struct reply *reply)
{
    struct scan_element element;
    int64_t id = 0;
    if (scan_find(reply->document, "cursor", &element) && element.kind == BSON_KIND_OBJECT &&
        scan_find(element.value, "id", &element) && scan_as_int64(&element, &id))
        awaited_cursors_put(client->worker->shared->awaited_cursors, client->server, id);
    return true;
}

bool awaiting_is(const struct client *client, const struct wire_command *request)
{
    struct awaited_cursors *cursors = client->worker->shared->awaited_cursors;
    struct scan_element element;
    int64_t id = 0;
    return request->known == COMMAND_GET_MORE && awaited_cursors_any(cursors) &&
           wire_command_find(request, "getMore", &element) && scan_as_int64(&element, &id) &&
           awaited_cursors_find(cursors, client->server, id);
}
