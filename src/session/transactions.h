/* The open transactions of the whole proxy, so that draining can wait for them. A transaction
 * belongs to its logical session, not to a connection: a driver may send each statement on another
 * one. Thread-safe. */
#ifndef SLUICE_SESSION_TRANSACTIONS_H
#define SLUICE_SESSION_TRANSACTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct transactions;

struct transactions *transactions_create(void); /* NULL when memory is out */
void transactions_destroy(struct transactions *transactions);

/* A statement of the transaction of logical session `lsid` (16 bytes) goes upstream on connection
 * `connection` of client machine `peer`. Out of memory, or with far too many open, it is not noted:
 * draining then does not wait for it. */
void transactions_begin(struct transactions *transactions, const uint8_t *lsid, uint64_t connection,
                        uint64_t peer);
/* The server answered that statement. A transaction of which no statement was ever carried out is
 * none, and leaves nothing here: anybody may send one, also without a login. */
void transactions_answered(struct transactions *transactions, const uint8_t *lsid,
                           uint64_t connection, uint64_t peer, bool carried_out);
/* It was committed or aborted. */
void transactions_end(struct transactions *transactions, const uint8_t *lsid);
/* The connection is gone, and with it those whose last statement it carried. */
void transactions_forget_connection(struct transactions *transactions, uint64_t connection);
bool transactions_open_for_peer(struct transactions *transactions, uint64_t peer);

#endif
