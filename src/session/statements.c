#include "session/statements.h"

bool statements_watch(const struct pending *pending)
{
    return pending->in_transaction && pending->has_lsid && !pending->repeated &&
           !request_ends_transaction(pending->command);
}

void statements_note_sent(struct client *client, const struct pending *pending)
{
    if (!statements_watch(pending))
        return;
    client->had_transaction = true;
    transactions_begin(client->worker->shared->transactions, pending->lsid, client->id,
                       address_peer_key(&client->peer));
}

void statements_note_answered(struct client *client, const struct pending *pending,
                              struct bytes document)
{
    struct scan_element ok;
    bool carried_out =
        bytes_left(&document) == 0 || (scan_find(document, "ok", &ok) && scan_is_true(&ok));
    if (statements_watch(pending))
        transactions_answered(client->worker->shared->transactions, pending->lsid, client->id,
                              address_peer_key(&client->peer), carried_out);
}

/* Code 251: the server does not (or no longer) know the transaction. */
static bool transaction_is_over(struct bytes document)
{
    enum { NO_SUCH_TRANSACTION = 251 };
    struct scan_element element;
    int64_t code = 0;
    if (scan_find(document, "ok", &element) && scan_is_true(&element))
        return true;
    return scan_find(document, "code", &element) && scan_as_int64(&element, &code) &&
           code == NO_SUCH_TRANSACTION;
}

bool statements_take_end_reply(struct client *client, struct reply *reply)
{
    const struct pending *pending = reply->pending;
    if (pending->has_lsid && transaction_is_over(reply->document))
        transactions_end(client->worker->shared->transactions, pending->lsid);
    return true;
}
