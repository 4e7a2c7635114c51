#include "session/session_ends.h"

#include <string.h>

#include "session/lease.h"

static void note_end(struct client *client, const struct scan_element *description)
{
    struct retry_key key;
    const uint8_t *lsid = lsid_read(description, NULL);
    if (lsid == NULL)
        return;
    memcpy(key.lsid, lsid, LSID_BYTES);
    const struct standing *standing = lease_standing(client);
    if (standing != NULL) { /* otherwise they idle until they expire */
        memcpy(key.identity, standing_users(standing), sizeof key.identity);
        retry_table_forget(client->worker->shared->retries, &key);
    }
    bulk_cursors_end_session(client->worker->shared->bulk_cursors, client->id, key.lsid);
}

enum request_step session_ends_take(struct client *client, const struct message *message,
                                    struct wire_command *request)
{
    (void)message;
    struct scan scan;
    struct scan_element list;
    struct scan_element description;
    if (!wire_command_find(request, request->name, &list) || list.kind != BSON_KIND_ARRAY ||
        !scan_open(&scan, list.value))
        return STEP_PASS;
    while (scan_next(&scan, &description))
        note_end(client, &description);
    return STEP_PASS;
}

static bool is_done(const struct reply *reply)
{
    struct scan_element ok;
    return scan_find(reply->document, "ok", &ok) && scan_is_true(&ok);
}

bool session_ends_take_reply(struct client *client, struct reply *reply)
{
    if (is_done(reply))
        bulk_cursors_session_ended(client->worker->shared->bulk_cursors, client->id);
    return true;
}

bool session_ends_take_all_reply(struct client *client, struct reply *reply)
{
    if (is_done(reply)) {
        retry_table_forget_all(client->worker->shared->retries);
        bulk_cursors_all_ended(client->worker->shared->bulk_cursors, clock_now_ms());
    }
    return true;
}
