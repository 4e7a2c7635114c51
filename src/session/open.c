#include "session/open.h"

#include "base/memory.h"

/* What is opened in one turn of the loop, about 300 µs' worth. */
enum { OPEN_PORTION_BYTES = 256 * 1024 };

void open_release(struct opening *opening, struct budget *budget)
{
    wire_opening_free(opening->wire);
    memory_free(opening->inside);
    budget_give_back(budget, opening->bytes);
    *opening = (struct opening){0};
}

static bool begin(struct client *client, size_t bytes)
{
    struct opening *opening = &client->opening;
    struct budget *budget = &client->worker->shared->budget;
    if (!budget_take(budget, bytes))
        return false;
    *opening = (struct opening){.inside = memory_alloc(bytes), .bytes = bytes};
    if (opening->inside != NULL && bytes > OPEN_PORTION_BYTES)
        opening->wire = wire_opening_new();
    if (opening->inside != NULL && (opening->wire != NULL || bytes <= OPEN_PORTION_BYTES))
        return true;
    open_release(opening, budget);
    return false;
}

enum opened open_request(struct client *client, const struct wire_compressed *compressed,
                         struct error *err)
{
    struct opening *opening = &client->opening;
    if (opening->whole)
        return OPENED_WHOLE;
    if (opening->inside == NULL && !begin(client, compressed->uncompressed_bytes)) {
        (void)error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT,
                        "no room to decompress %u bytes (option memory_max)",
                        compressed->uncompressed_bytes);
        return OPENED_NO_ROOM;
    }
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
    open_release(opening, &client->worker->shared->budget);
    return OPENED_BROKEN;
}
