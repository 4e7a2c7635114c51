#include "session/hello_answers.h"

#include <utlist.h>

#include "base/clock.h"
#include "base/memory.h"
#include "session/answer.h"
#include "session/hello_facts.h"
#include "session/hello_stream.h"
#include "session/hello_wait.h"
#include "session/life.h"
#include "wire/sections.h"

/* Between two questions for the state of a server that nothing is known of. */
enum { REMIND_MS = 1000 };

bool hello_answers_may_take(const struct client *client, const struct wire_command *request)
{
    struct wire_hello_request hello;
    /* without a server, the connection's error names the reason */
    return wire_hello_is_command(request->known) && client->server[0] != 0 &&
           wire_hello_request_read(request, &hello) == WIRE_HELLO_PLAIN;
}

/* --- faults that a server refuses ------------------------------------------------------------ */

/* A server's error codes; mongos has its own. */
struct fault {
    int code;
    int mongos_code;
    const char *message;
};

static const struct fault await_without_version = {
    31368, 51760, "A request with 'maxAwaitTimeMS' must include a 'topologyVersion'"};
static const struct fault version_without_await = {
    31368, 51760, "A request with a 'topologyVersion' must include 'maxAwaitTimeMS'"};
static const struct fault negative_counter = {31372, 51758,
                                              "topologyVersion must have a non-negative counter"};
static const struct fault negative_await = {31373, 51759,
                                            "maxAwaitTimeMS must be a non-negative integer"};
static const struct fault stream_without_await = {
    51756, 51763, "A hello with exhaustAllowed must specify 'maxAwaitTimeMS'"};
static const struct fault second_metadata = {
    ERROR_CLIENT_METADATA_CANNOT_BE_MUTATED, ERROR_CLIENT_METADATA_CANNOT_BE_MUTATED,
    "The client metadata document may only be sent in the first hello"};

static const struct fault *find_fault(const struct client *client,
                                      const struct wire_hello_request *hello, bool streams)
{
    if (client->hello_seen && hello->has_metadata)
        return &second_metadata;
    if (hello->has_version != hello->has_await)
        return hello->has_version ? &version_without_await : &await_without_version;
    if (hello->has_version && hello->version.counter < 0)
        return &negative_counter;
    if (hello->has_await && hello->await_ms < 0)
        return &negative_await;
    return streams && !hello->has_await ? &stream_without_await : NULL;
}

static enum request_step refuse(struct client *client, const struct message *message,
                                const struct fault *fault, const struct hello_state *state)
{
    struct error err;
    int code = state != NULL && state->is_mongos ? fault->mongos_code : fault->code;
    (void)error_set(&err, code, "%s", fault->message);
    return answer_error(client, message, &err, 0) ? STEP_TAKEN : STEP_STOP;
}

/* --- answers --------------------------------------------------------------------------------- */

/* A client may know of a change before the stream, from an error of another command: its counter is
 * then the larger one. */
static bool is_due(const struct hello_wait *wait, int64_t now_ms)
{
    const struct hello_state *state = wait->source->held;
    const struct wire_topology_version *known = &wait->request.version;
    if (!wait->request.has_version || !state->has_version || now_ms >= wait->expires_ms)
        return true;
    return memcmp(known->process_id, state->version.process_id, WIRE_PROCESS_ID_BYTES) != 0 ||
           state->version.counter > known->counter;
}

/* False after the client ended. */
static bool send_reply(struct client *client, int32_t request_id, uint32_t flags,
                       struct bytes document)
{
    const struct hello_wait *wait = client->hello_wait;
    struct wire_reply_to to = {.request_id = wait->response_to, .legacy = wait->legacy};
    uint8_t compressor = wait->compressor;
    uint8_t *reply = NULL;
    size_t len = 0;
    if (!wire_reply_frame(to, request_id, flags, document, &reply, &len)) {
        client_end(client, "out of memory for a reply to hello");
        return false;
    }
    hello_facts_read_limits(client, document);
    client->hello_seen = true;
    if (client->pool == NULL && !client->may_be_logged_in)
        client->compressors = wire_hello_compressors(document);
    counters_add(client_counters(client), COUNTER_HELLOS_ANSWERED, 1);
    bool sent = answer_send(client, compressor, reply, len);
    memory_free(reply);
    return sent;
}

static bool build_reply(struct client *client, const struct wire_hello_rules *rules,
                        struct build *build, struct bytes *document)
{
    const struct hello_wait *wait = client->hello_wait;
    const struct hello_state *state = wait->source->held;
    struct wire_hello_answer answer = {.request = &wait->request,
                                       .compressors = state->compressors,
                                       .connection_id = (int64_t)client->id,
                                       .elapsed_ms = clock_now_ms() - state->received_ms,
                                       .extra = bytes_of(wait->extra, wait->extra_bytes)};
    return wire_hello_answer(hello_state_reply(state), &answer, rules, build, document);
}

/* Answers from the source's state. False after the client ended. */
static bool answer(struct client *client)
{
    struct hello_wait *wait = client->hello_wait;
    const struct hello_state *state = wait->source->held;
    struct wire_hello_rules rules = hello_facts_rules(client);
    struct build build;
    struct bytes document;
    bool streams = wait->streams && state->has_version;
    int32_t request_id = streams ? ++client->worker->hello_reply_ids : 0;
    bool sent = false;
    if (build_reply(client, &rules, &build, &document))
        sent = send_reply(client, request_id, streams ? WIRE_FLAG_MORE_TO_COME : 0, document);
    else
        client_end(client, "no reply to hello could be made from the server's");
    build_free(&build);
    if (!sent)
        return false;
    if (!streams) {
        hello_wait_end(client);
        return true;
    }
    wait->response_to = request_id;
    wait->streamed = true;
    wait->request.version = state->version;
    wait->expires_ms = clock_now_ms() + wait->request.await_ms;
    return true;
}

static void refuse_unreachable(struct client *client)
{
    const struct hello_wait *wait = client->hello_wait;
    struct wire_reply_to to = {.request_id = wait->response_to, .legacy = wait->legacy};
    struct error err;
    (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                    "mongosluice cannot reach the upstream server %s: %.300s", client->server,
                    (const char *)wait->source->held->data);
    client_fail(client, &to, &err, wait->error_labels, COUNTER_UPSTREAM_CONNECT_FAILURES);
}

/* The server is down. False after the client left CLIENT_ACTIVE. */
static bool fail(struct client *client)
{
    const struct hello_wait *wait = client->hello_wait;
    if (wait->source->held->number <= wait->since)
        return true;
    if (wait->request.has_version) {
        client_linger(client, "the upstream server of an awaiting hello is lost");
        return false;
    }
    refuse_unreachable(client);
    return false;
}

/* A stream whose client does not read waits for a later tick. */
bool hello_answers_settle(struct client *client, int64_t now_ms)
{
    struct hello_wait *wait = client->hello_wait;
    const struct hello_state *state = wait->source->held;
    if (state == NULL)
        return true;
    if (!state->up)
        return fail(client);
    wait->blocked = wait->streamed && link_is_blocked(&client->link);
    if (!is_due(wait, now_ms) || wait->blocked)
        return true;
    return answer(client);
}

/* --- requests -------------------------------------------------------------------------------- */

static struct hello_wait *begin(struct client *client, const struct message *message,
                                const struct wire_command *request, struct hello_source *source,
                                struct bytes extra)
{
    struct hello_wait *wait = hello_wait_begin(client, source, extra);
    if (wait == NULL)
        return NULL;
    (void)wire_hello_request_read(request, &wait->request);
    wait->expires_ms = clock_now_ms() + wait->request.await_ms;
    wait->since = source->held == NULL ? 0 : source->held->number;
    wait->response_to = message->header.request_id;
    wait->error_labels = request_error_labels(request);
    wait->compressor = message->compressor;
    wait->legacy = request->legacy;
    wait->streams = (request->flags & WIRE_FLAG_EXHAUST_ALLOWED) != 0;
    return wait;
}

/* Asks the server, unless its state is known. */
static bool ask(struct client *client, struct hello_source *source)
{
    if (source->held != NULL && source->held->up)
        return true;
    source->asked_ms = clock_now_ms();
    if (hello_streams_ask(client->worker->shared->hello_streams, source->server,
                          client->worker->settings))
        return true;
    client_end(client, "out of memory for a hello");
    return false;
}

enum request_step hello_answers_take(struct client *client, const struct message *message,
                                     const struct wire_command *request, struct bytes extra)
{
    struct wire_hello_request hello;
    bool streams = (request->flags & WIRE_FLAG_EXHAUST_ALLOWED) != 0;
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    struct hello_source *source = hello_wait_source(client);
    if (source == NULL) {
        client_end(client, "out of memory for a hello");
        return STEP_STOP;
    }
    atomic_store(&source->server->used_ms, clock_now_ms());
    (void)hello_board_read(source->server, &source->held);
    (void)wire_hello_request_read(request, &hello);
    const struct fault *fault = find_fault(client, &hello, streams);
    if (fault != NULL)
        return refuse(client, message, fault, source->held);
    const struct hello_wait *wait = begin(client, message, request, source, extra);
    if (wait == NULL) {
        client_end(client, "out of memory for a hello");
        return STEP_STOP;
    }
    if (!ask(client, source) ||
        (source->held != NULL && source->held->up && !hello_answers_settle(client, clock_now_ms())))
        return STEP_STOP;
    return STEP_TAKEN;
}

void hello_answers_remind(struct client *client, int64_t now_ms)
{
    struct hello_source *source = client->hello_wait->source;
    if ((source->held != NULL && source->held->up) || now_ms - source->asked_ms < REMIND_MS)
        return;
    source->asked_ms = now_ms;
    (void)hello_streams_ask(client->worker->shared->hello_streams, source->server,
                            client->worker->settings); /* otherwise the next time */
}
