#include "session/hello_facts.h"

#include <stdio.h>
#include <string.h>

#include "base/host_port.h"
#include "base/memory.h"

static void copy_string(struct bytes document, const char *name, char out[80])
{
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    out[0] = 0;
    if (scan_find(document, name, &element) && scan_as_string(&element, &text, &len))
        (void)snprintf(out, 80, "%.*s", (int)(len < 79 ? len : 79), text);
}

/* For the tally, which has no metadata without memory. */
static void keep_metadata(struct client *client, const char *application, const char *driver,
                          const char *version)
{
    size_t application_bytes = strlen(application) + 1;
    size_t driver_bytes = strlen(driver) + 1 + strlen(version) + 1;
    char *block = memory_alloc(application_bytes + driver_bytes);
    if (block == NULL)
        return;
    char *kept_driver = block + application_bytes;
    memcpy(block, application, application_bytes);
    (void)snprintf(kept_driver, driver_bytes, "%s%s%s", driver, version[0] == 0 ? "" : " ",
                   version);
    client->writer = (struct tally_writer){block, kept_driver};
}

/* The way through the upstream leads back to this proxy. */
static void note_own_monitoring(struct client *client, const char *version)
{
    const char *own_id = client->worker->shared->own_id;
    if (own_id == NULL || own_id[0] == 0 || strstr(version, own_id) == NULL)
        return;
    client->is_own_monitoring = true;
    if (atomic_exchange(&client->worker->shared->leads_to_itself, true))
        return;
    LOG_E(LOG_TOPOLOGY, 1087, client->context,
          "The upstream leads back to this proxy; name the database in option upstream",
          LOG_STR("server", client->server));
}

static void note_metadata(struct client *client, struct bytes metadata)
{
    char application[80] = "";
    char driver[80] = "";
    char version[80] = "";
    struct scan_element part;
    if (scan_find(metadata, "application", &part) && part.kind == BSON_KIND_OBJECT)
        copy_string(part.value, "name", application);
    if (scan_find(metadata, "driver", &part) && part.kind == BSON_KIND_OBJECT) {
        copy_string(part.value, "name", driver);
        copy_string(part.value, "version", version);
    }
    keep_metadata(client, application, driver, version);
    note_own_monitoring(client, version);
    LOG_I(LOG_NETWORK, 1060, client->context, "Client metadata",
          LOG_STR("application", application), LOG_STR("driver", driver),
          LOG_STR("driverVersion", version));
}

void hello_facts_note(struct client *client, const struct wire_command *request)
{
    struct scan_element element;
    if (!wire_hello_is_command(request->known))
        return;
    if (wire_command_find(request, "backpressure", &element))
        client->accepts_overload = true;
    if (client->writer.application == NULL && wire_command_find(request, "client", &element) &&
        element.kind == BSON_KIND_OBJECT) {
        note_metadata(client, element.value);
    }
}

static void read_limit(struct bytes document, const char *name, uint32_t *limit)
{
    struct scan_element element;
    int64_t value = 0;
    if (scan_find(document, name, &element) && scan_as_int64(&element, &value) && value > 0)
        *limit = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

void hello_facts_read_limits(struct client *client, struct bytes reply)
{
    struct client_limits *limits = &client->limits;
    read_limit(reply, "maxBsonObjectSize", &limits->document_bytes);
    read_limit(reply, "maxWriteBatchSize", &limits->batch_docs);
    read_limit(reply, "maxMessageSizeBytes", &limits->message_bytes);
}

/* Writes the proxy's address of a member, as this client reaches it. */
static bool map_address(void *context, const char *member, size_t len, char out[WIRE_ADDRESS_BYTES])
{
    struct client *client = context;
    const struct session_hooks *hooks = &client->worker->shared->hooks;
    const char *advertise = client_config(client)->advertise;
    char dialled[ADDRESS_TEXT_BYTES];
    uint16_t port = hooks->port_of_member(hooks->context, member, len);
    if (port == 0)
        return false;
    if (client->peer.family == AF_UNIX) {
        config_unix_socket_path(client_config(client), port, out, WIRE_ADDRESS_BYTES);
        return true;
    }
    if (advertise[0] == 0) {
        address_describe_local_host(client->link.transport.fd, dialled);
        advertise = dialled;
    }
    host_port_write(advertise, port, out, WIRE_ADDRESS_BYTES);
    return true;
}

struct wire_hello_rules hello_facts_rules(struct client *client)
{
    return (struct wire_hello_rules){.map_address = map_address,
                                     .context = client,
                                     .max_message_bytes =
                                         (size_t)client_config(client)->max_message_bytes};
}
