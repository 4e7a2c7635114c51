/* The id of a logical session, as a command's `lsid` and the list of endSessions hold it: {id:
 * UUID}. Pure. Source: driver sessions specification. */
#ifndef SLUICE_WIRE_LSID_H
#define SLUICE_WIRE_LSID_H

#include "bson/scan.h"

enum { LSID_BYTES = 16 };

/* LSID_BYTES in the element's value; NULL when it is no document with a field `id` that is a UUID.
 * *alone (may be NULL): the document has no other field, as drivers send it. */
const uint8_t *lsid_read(const struct scan_element *element, bool *alone);

#endif
