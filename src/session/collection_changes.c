#include "session/collection_changes.h"

bool collection_changes_take_reply(struct client *client, struct reply *reply)
{
    const struct session_hooks *hooks = &client->worker->shared->hooks;
    struct scan_element ok;
    if (scan_find(reply->document, "ok", &ok) && scan_is_true(&ok))
        hooks->collections_changed(hooks->context);
    return true;
}
