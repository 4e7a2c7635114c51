/* A request that the proxy answers itself, and the remaining steps before the answer
 * (exchange_steps.h). A client has at most one; its next request waits. */
#ifndef SLUICE_SESSION_EXCHANGE_H
#define SLUICE_SESSION_EXCHANGE_H

#include "net/buffer.h"
#include "session/client.h"

struct waiting_retry;
struct bulk_cursor;
struct merger_resend;
struct merger_waiter;
struct enforce_splice;

struct exchange {
    struct message message; /* the client's message, without its payload */
    struct enforce_splice *splice;
    size_t held_bytes;          /* of memory_max, for the splice */
    struct bulk_cursor *cursor; /* of a getMore; its splice belongs to the cursor */
    struct budget *budget;
    uint8_t *abort_message; /* abortTransaction, to send before the answer; owned */
    size_t abort_len;
    uint8_t *lone; /* shared mode: the client's own command, which waits for a connection; owned */
    size_t lone_len;
    struct buffer answer; /* a document, behind ENFORCE_FRONT_BYTES; counts for memory_max */
    uint32_t error_labels;
    uint8_t lsid[LSID_BYTES];
    bool has_lsid;
    bool in_transaction;
    bool aborting;       /* abortTransaction was sent */
    struct trail *trail; /* owned; NULL: the request is not traced */
    /* at most one of these: */
    struct merger_waiter *waiter;        /* its insert waits or is in a batch */
    struct waiting_retry *waiting_retry; /* it repeats an insert that is under way; owned */
    struct merger_resend *resend;        /* it repeats an insert of a lost batch */
};

/* NULL without memory. */
struct exchange *exchange_new(struct client *client, const struct message *message,
                              const struct wire_command *request, bool aborts_transaction);

/* Frees an exchange other than client->exchange, and cuts its ties to the merger. NULL is allowed.
 */
void exchange_free(struct client *client, struct exchange *exchange);
/* Ends client->exchange, answered or not. There may be none. */
void exchange_end(struct client *client);

#endif
