/* The id of a logical session, in a command's `lsid` and in the list of endSessions: {id: UUID}.
 * Pure. Source: driver sessions specification. */
#ifndef SLUICE_WIRE_LSID_H
#define SLUICE_WIRE_LSID_H

#include "bson/scan.h"

enum { LSID_BYTES = 16 };

/* Returns LSID_BYTES in the element's value; NULL if it is not a document with a UUID in the field
 * `id`. *alone (may be NULL) tells that the document has no other field, as drivers send it. */
const uint8_t *lsid_read(const struct scan_element *element, bool *alone);

#endif
