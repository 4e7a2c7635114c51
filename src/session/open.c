#include "session/open.h"

#include "base/memory.h"

/* The work of one turn of the loop, about 300 µs. */
enum { OPEN_PORTION_BYTES = 256 * 1024 };

void open_release(struct client *client)
{
    struct opening *opening = client->opening;
    if (opening == NULL)
        return;
    client->opening = NULL;
    wire_opening_free(opening->wire);
    budget_give_back(&client->worker->shared->budget, opening->bytes);
    memory_free(opening);
}

static bool begin(struct client *client, size_t bytes)
{
    if (!budget_take(&client->worker->shared->budget, bytes))
        return false;
    struct opening *opening = memory_alloc(sizeof *opening + bytes);
    if (opening == NULL) {
        budget_give_back(&client->worker->shared->budget, bytes);
        return false;
    }
    *opening = (struct opening){.bytes = bytes};
    client->opening = opening;
    if (bytes <= OPEN_PORTION_BYTES)
        return true;
    opening->wire = wire_opening_new();
    if (opening->wire == NULL)
        open_release(client);
    return client->opening != NULL;
}

enum opened open_request(struct client *client, const struct wire_compressed *compressed,
                         struct error *err)
{
    if (client->opening != NULL && client->opening->whole)
        return OPENED_WHOLE;
    if (client->opening == NULL && !begin(client, compressed->uncompressed_bytes)) {
        (void)error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT,
                        "no room to decompress %u bytes (option memory_max)",
                        compressed->uncompressed_bytes);
        return OPENED_NO_ROOM;
    }
    struct opening *opening = client->opening;
    enum wire_opened opened = WIRE_OPENED_BROKEN;
    if (opening->wire != NULL)
        opened =
            wire_opening_go_on(opening->wire, compressed, opening->inside, OPEN_PORTION_BYTES, err);
    else if (wire_compressed_open(compressed, opening->inside, err))
        opened = WIRE_OPENED_WHOLE;
    if (opened == WIRE_OPENED_PART)
        return OPENED_PART;
    if (opened == WIRE_OPENED_WHOLE) {
        wire_opening_free(opening->wire);
        opening->wire = NULL;
        opening->whole = true;
        return OPENED_WHOLE;
    }
    open_release(client);
    return OPENED_BROKEN;
}
