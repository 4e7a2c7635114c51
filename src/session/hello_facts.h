/* The parts of hello that belong to the client: its properties, the limits that it is told, and the
 * rules for rewriting a reply to it. */
#ifndef SLUICE_SESSION_HELLO_FACTS_H
#define SLUICE_SESSION_HELLO_FACTS_H

#include "session/client.h"
#include "wire/hello.h"

/* Notes the properties of the client in a hello: support for overload errors (`backpressure`), and
 * its metadata. Ignores other commands. */
void hello_facts_note(struct client *client, const struct wire_command *request);

/* Notes the server's limits in the reply that the client gets. */
void hello_facts_read_limits(struct client *client, struct bytes reply);

/* The rules for this client, which they borrow. */
struct wire_hello_rules hello_facts_rules(struct client *client);

#endif
