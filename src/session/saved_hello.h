/* The first hello of an application, kept to open further connections as it does. It has no field
 * that logs in, asks for mechanisms or awaits a change. The clients and the pool of one application
 * hold the same one. Pure. */
#ifndef SLUICE_SESSION_SAVED_HELLO_H
#define SLUICE_SESSION_SAVED_HELLO_H

#include "wire/command.h"

struct saved_hello;

/* From a client's hello. NULL without memory, or if it has more than 4 KiB: connections are then
 * opened without one. */
struct saved_hello *saved_hello_new(const struct wire_command *request);
struct saved_hello *saved_hello_retain(struct saved_hello *hello);
void saved_hello_release(struct saved_hello *hello); /* NULL is allowed */

/* The command as a document. */
struct bytes saved_hello_document(const struct saved_hello *hello);
/* The value of its apiVersion, a string; false: it has none, or `hello` is NULL. */
bool saved_hello_api_version(const struct saved_hello *hello, struct scan_element *version);

#endif
