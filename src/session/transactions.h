/* The open transactions of the whole proxy, for draining. A transaction belongs to its logical
 * session, not to a connection: a driver may send each statement on another one. Thread-safe. */
#ifndef SLUICE_SESSION_TRANSACTIONS_H
#define SLUICE_SESSION_TRANSACTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct transactions;

struct transactions *transactions_create(void); /* NULL when memory is out */
void transactions_destroy(struct transactions *transactions);

/* A statement of the transaction of logical session `lsid` (16 bytes) goes upstream on connection
 * `connection` of client machine `peer`. Without memory, or with far too many open transactions, it
 * is not noted, and a drain does not wait for it. */
void transactions_begin(struct transactions *transactions, const uint8_t *lsid, uint64_t connection,
                        uint64_t peer);
/* The server answered this statement. A transaction without a statement that ran leaves no record:
 * every client can send one, also without a login. */
void transactions_answered(struct transactions *transactions, const uint8_t *lsid,
                           uint64_t connection, uint64_t peer, bool carried_out);
/* The transaction was committed or aborted. */
void transactions_end(struct transactions *transactions, const uint8_t *lsid);
/* The connection is gone, and with it the transactions whose last statement it carried. */
void transactions_forget_connection(struct transactions *transactions, uint64_t connection);
bool transactions_open_for_peer(struct transactions *transactions, uint64_t peer);

#endif
