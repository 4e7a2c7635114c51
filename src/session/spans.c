#include "session/spans.h"

#include <arpa/inet.h>
#include <math.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/memory.h"
#include "otlp/exporter.h"
#include "session/lease.h"
#include "session/upstream_connection.h"
#include "trace/trace_comment.h"

void spans_start(struct session_worker *worker, unsigned index)
{
    struct span_source *source = &worker->spans;
    struct exporter *exporter = worker->shared->exporter;
    if (exporter == NULL)
        return;
    source->queue = exporter_queue(exporter, index);
    /* without random bytes, the ids of workers differ at least */
    if (RAND_bytes((unsigned char *)&source->random, sizeof source->random) != 1)
        source->random = (uint64_t)clock_wall_us() * 256 + index;
    spans_configure(worker);
}

void spans_configure(struct session_worker *worker)
{
    struct span_source *source = &worker->spans;
    const struct config *config = worker->settings->config;
    source->on = source->queue != NULL && config->tracing.endpoint[0] != 0;
    source->all = config->tracing.sample_ratio >= 1;
    source->threshold = source->all ? 0 : (uint64_t)ldexp(config->tracing.sample_ratio, 64);
}

/* SplitMix64 (Steele, Lea, Flood 2014). Ids of spans are no secrets. */
static uint64_t draw(struct span_source *source)
{
    uint64_t z = source->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void spans_make_id(struct session_worker *worker, uint8_t *id, size_t len)
{
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t value = draw(&worker->spans) | 1; /* an id of zeros is invalid */
        memcpy(id + at, &value, sizeof value);
    }
}

/* The context that came with the request. */
static bool find_context(const struct wire_command *request, struct trace_found *out)
{
    struct wire_fields fields;
    struct scan_element element;
    trace_section_read(request->telemetry, out);
    if (out->carrier != TRACE_CARRIER_NONE)
        return true;
    wire_fields_open(&fields, request);
    while (wire_fields_next(&fields, &element)) {
        if (fields.known != FIELD_COMMENT)
            continue;
        trace_comment_read(&element, out);
        return out->carrier != TRACE_CARRIER_NONE;
    }
    return false;
}

/* Commands whose first field, or `collection`, names a collection. */
static struct bytes collection_of(const struct wire_command *request)
{
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    switch (request->known) {
    case COMMAND_AGGREGATE:
    case COMMAND_COLL_MOD:
    case COMMAND_COLL_STATS:
    case COMMAND_COUNT:
    case COMMAND_CREATE:
    case COMMAND_CREATE_INDEXES:
    case COMMAND_DELETE:
    case COMMAND_DISTINCT:
    case COMMAND_DROP:
    case COMMAND_DROP_INDEXES:
    case COMMAND_FIND:
    case COMMAND_FIND_AND_MODIFY:
    case COMMAND_FINDANDMODIFY:
    case COMMAND_INSERT:
    case COMMAND_KILL_CURSORS:
    case COMMAND_LIST_INDEXES:
    case COMMAND_UPDATE:
    case COMMAND_VALIDATE:
        return request->collection;
    case COMMAND_GET_MORE:
        if (wire_command_find(request, "collection", &element) &&
            scan_as_string(&element, &text, &len))
            return bytes_of(text, len);
        break;
    default:
        break;
    }
    return (struct bytes){0};
}

/* The client's host; "" without one. Written once for each client. */
static const char *address_of(struct client *client)
{
    char peer[ADDRESS_TEXT_BYTES];
    struct host_port address;
    if (client->traced_address == NULL) {
        address_describe_peer(&client->peer, peer);
        bool remote = host_port_read(peer, strlen(peer), &address) && address.has_port;
        client->traced_address = memory_copy_string(remote ? address.host : "");
    }
    return client->traced_address != NULL ? client->traced_address : "";
}

static struct trail *make_trail(struct client *client, const struct wire_command *request,
                                const struct trace_found *found)
{
    struct session_worker *worker = client->worker;
    const struct trail_names names = {.operation = bytes_of(request->name, request->name_len),
                                      .database = request->database,
                                      .collection = collection_of(request),
                                      .client_address = address_of(client)};
    struct trail *trail = trail_new(TRAIL_REQUEST, &names);
    if (trail == NULL)
        return NULL;
    if (found->carrier != TRACE_CARRIER_NONE) {
        trail->has_parent = true;
        trail->context = found->context;
        memcpy(trail->parent_id, found->context.span_id, sizeof trail->parent_id);
    } else {
        spans_make_id(worker, trail->context.trace_id, TRACE_ID_BYTES);
    }
    trail->context.sampled = true;
    spans_make_id(worker, trail->context.span_id, TRACE_SPAN_ID_BYTES);
    spans_make_id(worker, trail->span_ids[0], sizeof trail->span_ids);
    trail->connection_id = client->id;
    trail->client_port = names.client_address[0] != 0 ? ntohs(client->peer.port) : 0;
    trail->whole.from_us = client_now_us(client);
    return trail;
}

void spans_begin(struct client *client, const struct wire_command *request)
{
    struct span_source *source = &client->worker->spans;
    struct trace_found found;
    if (client->trail_decided)
        return;
    client->trail_decided = true;
    bool sampled = find_context(request, &found)
                       ? found.context.sampled
                       : source->all || (source->threshold > 0 && draw(source) < source->threshold);
    if (sampled)
        client->trail = make_trail(client, request, &found);
}

void spans_wait_traced(struct trail *trail, enum trail_wait wait)
{
    if (trail->waits[wait].from_us == 0)
        trail->waits[wait].from_us = clock_now_us();
}

static void end_waits(struct trail *trail, int64_t now_us)
{
    for (size_t i = 0; i < TRAIL_WAITS; i++)
        if (trail->waits[i].from_us != 0 && trail->waits[i].to_us == 0)
            trail->waits[i].to_us = now_us;
}

void spans_note_sent(struct trail *trail, const char *server, int64_t now_us)
{
    if (trail == NULL)
        return;
    end_waits(trail, now_us);
    trail->upstream.from_us = now_us;
    size_t len = strnlen(server, sizeof trail->server - 1);
    memcpy(trail->server, server, len);
    trail->server[len] = 0;
}

struct trail *spans_send_traced(struct client *client)
{
    const struct upstream_connection *connection = lease_connection(client);
    struct trail *trail = spans_take(client);
    trail->merged = false; /* the server may have refused the batch that carried it */
    spans_note_sent(trail, connection != NULL ? connection->server : "", clock_now_us());
    return trail;
}

void spans_note_reply_traced(struct trail *trail, struct bytes document)
{
    trail->answered = true;
    /* a long reply is still on its way: the command ends with the request */
    if (trail->upstream.from_us != 0 && bytes_left(&document) > 0)
        trail->upstream.to_us = clock_now_us();
    trail_note_reply(trail, document);
}

void spans_forget_client(struct client *client)
{
    memory_free(client->traced_address);
    client->traced_address = NULL;
}

void spans_note_refusal(struct trail *trail, int code)
{
    if (trail == NULL)
        return;
    trail->answered = true;
    trail->failed = true;
    trail->code = code;
}

void spans_end_traced(struct session_worker *worker, struct trail *trail)
{
    trail->whole.to_us = clock_now_us();
    trail->failed |= !trail->answered;
    end_waits(trail, trail->whole.to_us);
    trail_queue_put(worker->spans.queue, trail);
}
