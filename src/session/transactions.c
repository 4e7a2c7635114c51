#include "session/transactions.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "base/table.h"
#include "wire/lsid.h"

/* A client may name any number of logical sessions, and end none of them. */
enum { TRANSACTIONS_MAX = 100000 };

struct transaction {
    UT_hash_handle hh;
    uint64_t connection;
    uint64_t peer;
    bool unhashed; /* there was no memory to enter it */
    bool open;     /* the server carried out a statement of it */
    uint8_t lsid[LSID_BYTES];
};

struct transactions {
    pthread_mutex_t lock;
    struct transaction *table;
};

struct transactions *transactions_create(void)
{
    struct transactions *transactions = memory_zalloc(sizeof *transactions);
    if (transactions != NULL)
        pthread_mutex_init(&transactions->lock, NULL);
    return transactions;
}

static void drop(struct transactions *transactions, struct transaction *transaction)
{
    HASH_DEL(transactions->table, transaction);
    memory_free(transaction);
}

void transactions_destroy(struct transactions *transactions)
{
    struct transaction *transaction = NULL;
    struct transaction *next = NULL;
    if (transactions == NULL)
        return;
    HASH_ITER(hh, transactions->table, transaction, next)
    drop(transactions, transaction);
    pthread_mutex_destroy(&transactions->lock);
    memory_free(transactions);
}

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static struct transaction *add(struct transactions *transactions, const uint8_t *lsid)
{
    if (HASH_COUNT(transactions->table) >= TRANSACTIONS_MAX)
        return NULL;
    struct transaction *transaction = memory_zalloc(sizeof *transaction);
    if (transaction == NULL)
        return NULL;
    memcpy(transaction->lsid, lsid, LSID_BYTES);
    HASH_ADD(hh, transactions->table, lsid, LSID_BYTES, transaction);
    if (!transaction->unhashed)
        return transaction;
    memory_free(transaction);
    return NULL;
}

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static struct transaction *find(struct transactions *transactions, const uint8_t *lsid)
{
    struct transaction *transaction = NULL;
    HASH_FIND(hh, transactions->table, lsid, LSID_BYTES, transaction);
    return transaction;
}

void transactions_begin(struct transactions *transactions, const uint8_t *lsid, uint64_t connection,
                        uint64_t peer)
{
    pthread_mutex_lock(&transactions->lock);
    struct transaction *transaction = find(transactions, lsid);
    if (transaction == NULL)
        transaction = add(transactions, lsid);
    if (transaction != NULL && !transaction->open) {
        transaction->connection = connection;
        transaction->peer = peer;
    }
    pthread_mutex_unlock(&transactions->lock);
}

void transactions_answered(struct transactions *transactions, const uint8_t *lsid,
                           uint64_t connection, uint64_t peer, bool carried_out)
{
    pthread_mutex_lock(&transactions->lock);
    struct transaction *transaction = find(transactions, lsid);
    if (transaction == NULL && carried_out)
        transaction = add(transactions, lsid);
    if (transaction != NULL && carried_out) {
        transaction->open = true;
        transaction->connection = connection;
        transaction->peer = peer;
    } else if (transaction != NULL && !transaction->open) {
        drop(transactions, transaction);
    }
    pthread_mutex_unlock(&transactions->lock);
}

void transactions_end(struct transactions *transactions, const uint8_t *lsid)
{
    pthread_mutex_lock(&transactions->lock);
    struct transaction *transaction = find(transactions, lsid);
    if (transaction != NULL)
        drop(transactions, transaction);
    pthread_mutex_unlock(&transactions->lock);
}

void transactions_forget_connection(struct transactions *transactions, uint64_t connection)
{
    struct transaction *transaction = NULL;
    struct transaction *next = NULL;
    pthread_mutex_lock(&transactions->lock);
    HASH_ITER(hh, transactions->table, transaction, next)
    if (transaction->connection == connection)
        drop(transactions, transaction);
    pthread_mutex_unlock(&transactions->lock);
}

bool transactions_open_for_peer(struct transactions *transactions, uint64_t peer)
{
    bool found = false;
    pthread_mutex_lock(&transactions->lock);
    for (struct transaction *t = transactions->table; t != NULL && !found; t = t->hh.next)
        found = t->peer == peer;
    pthread_mutex_unlock(&transactions->lock);
    return found;
}
