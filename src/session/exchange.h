/* A request that the proxy answers in its own words, and the steps that are left before the client
 * has its answer (exchange_steps.h). A client has one at a time; its next request waits meanwhile.
 */
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
    struct message message; /* the client's, without its payload */
    struct enforce_splice *splice;
    size_t held_bytes;          /* of memory_max, for the splice */
    struct bulk_cursor *cursor; /* a getMore's; its splice is the cursor's */
    struct budget *budget;
    uint8_t *abort_message; /* abortTransaction, to be sent before the answer; owned */
    size_t abort_len;
    struct buffer answer; /* a document, behind ENFORCE_FRONT_BYTES; counts for memory_max */
    uint32_t error_labels;
    uint8_t lsid[LSID_BYTES];
    bool has_lsid;
    bool in_transaction;
    bool aborting; /* abortTransaction was sent */
    /* at most one of these: */
    struct merger_waiter *waiter;        /* its insert waits, or is in a batch */
    struct waiting_retry *waiting_retry; /* it repeats an insert that is under way; owned */
    struct merger_resend *resend;        /* it repeats one of a batch that was lost */
};

/* NULL when memory is out. */
struct exchange *exchange_new(struct client *client, const struct message *message,
                              const struct wire_command *request, bool aborts_transaction);
/* False when memory is out. */
bool exchange_keep_answer(struct exchange *exchange, struct bytes document);

/* Frees an exchange that is not client->exchange, and ends its ties to the merger. NULL is
 * allowed. */
void exchange_free(struct client *client, struct exchange *exchange);
/* Ends client->exchange, answered or not. The client may have none. */
void exchange_end(struct client *client);

#endif
