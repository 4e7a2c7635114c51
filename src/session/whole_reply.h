/* The reply to a message of the proxy on a connection that no client holds. */
#ifndef SLUICE_SESSION_WHOLE_REPLY_H
#define SLUICE_SESSION_WHOLE_REPLY_H

#include "net/link.h"
#include "wire/header.h"

enum whole_reply { WHOLE_REPLY_PART, WHOLE_REPLY_BROKEN, WHOLE_REPLY_READ };

/* Looks at the bytes in link->in. READ: they are exactly one OP_MSG without a flag that continues
 * it; *document is its body, in link->in. PART: more must arrive. */
enum whole_reply whole_reply_read(const struct link *link, struct bytes *document);

/* Reads into link->in. False if there is nothing new; the end and a failure are passed to the
 * link's handler. */
bool whole_reply_gather(struct link *link, uint8_t *scratch, size_t room);

#endif
