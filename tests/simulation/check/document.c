#include <string.h>

#include "application.h"
#include "check.h"

bool written_is_visible(const struct client *client, const struct written *written)
{
    return written->fate == FATE_STORED && !written->deleted && !written->maybe_deleted &&
           !plan_can_roll_back(client->plan);
}

bool written_is_absent(const struct client *client, const struct written *written)
{
    (void)client;
    return written->fate == FATE_ABSENT || (written->deleted && !plan_can_roll_back(client->plan));
}

/* The counter's bounds, as far as a read can know them. */
static bool counts_rightly(const struct client *client, const struct written *written, bool settled,
                           int64_t i)
{
    unsigned most = written->increments + written->maybe_increments + (written->busy ? 1 : 0);
    unsigned least = settled && !plan_can_roll_back(client->plan) ? written->increments : 0;
    return i >= (int64_t)least && i <= (int64_t)most;
}

static bool fails(const struct client *client, const char *check, const bson_t *document,
                  const char *problem)
{
    check_fails(client, check, "find", document, problem);
    return false;
}

bool check_document(const struct client *client, const char *collection, const bson_t *document,
                    uint64_t since)
{
    int64_t token = reply_integer(document, "_id", -1);
    const struct written *written = record_find(&client->record, collection, token);
    if (written == NULL) {
        return fails(client, "own documents only", document,
                     "the answer holds a document that this client did not write");
    }
    bool settled = !written->busy && written->changed < since;
    if (written_is_absent(client, written) && settled) {
        return fails(client, "reads its own writes", document,
                     written->deleted ? "the answer holds a deleted document"
                                      : "the answer holds a refused document");
    }
    if (reply_integer(document, "c", -1) != client->index ||
        reply_integer(document, "u", -1) != client->what->user) {
        return fails(client, "own documents only", document, "its fields c and u are not its own");
    }
    if (!counts_rightly(client, written, settled, reply_integer(document, "i", -1))) {
        return fails(client, "increments once", document,
                     "its counter is not the number of increments");
    }
    return true;
}
