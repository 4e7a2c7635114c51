#include "session/collection_changes.h"

#include "base/namespace.h"
#include "base/server_limits.h"

enum { NAME_BYTES = SERVER_NAMESPACE_BYTES + 1 };

/* The meaning of a command's value. */
enum changed {
    CHANGES_NOTHING,
    CHANGES_COLLECTION,
    CHANGES_DATABASE,
    CHANGES_RENAMED,
    CHANGES_ALL
};

static enum changed changed_by(enum command_name command)
{
    switch (command) {
    case COMMAND_COLL_MOD:
    case COMMAND_CREATE:
    case COMMAND_DROP:
    case COMMAND_CONVERT_TO_CAPPED:
        return CHANGES_COLLECTION;
    case COMMAND_DROP_DATABASE:
    case COMMAND_CLONE_COLLECTION_AS_CAPPED: /* its target is a collection of the database */
        return CHANGES_DATABASE;
    case COMMAND_RENAME_COLLECTION:
        return CHANGES_RENAMED;
    case COMMAND_APPLY_OPS:
    case COMMAND_DO_TXN:
    case COMMAND_CLONE:
    case COMMAND_CLONE_COLLECTION:
    case COMMAND_COPYDB:
    case COMMAND_EVAL:
    case COMMAND_DOLLAR_EVAL:
        return CHANGES_ALL;
    default:
        return CHANGES_NOTHING;
    }
}

static bool find_name(const struct wire_command *request, const char *field, struct bytes *out)
{
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    if (!wire_command_find(request, field, &element) || !scan_as_string(&element, &text, &len))
        return false;
    *out = bytes_of(text, len);
    return true;
}

/* The namespace of a field that contains it completely. */
static bool copy_name(const struct wire_command *request, const char *field, char out[NAME_BYTES])
{
    struct bytes name;
    if (!find_name(request, field, &name) || bytes_left(&name) >= NAME_BYTES)
        return false;
    memcpy(out, name.pos, bytes_left(&name));
    out[bytes_left(&name)] = 0;
    return true;
}

static bool join_name(const struct wire_command *request, struct bytes collection,
                      char out[NAME_BYTES])
{
    size_t len = namespace_join(request->database, collection, out, NAME_BYTES - 1);
    out[len] = 0;
    return len > 0;
}

/* False if its names are unclear: it may be any namespace. */
static bool read_scope(const struct wire_command *request, enum changed what,
                       char first[NAME_BYTES], char second[NAME_BYTES])
{
    if (request->database_unclear)
        return false;
    if (what == CHANGES_DATABASE)
        return join_name(request, bytes_of("", 0), first);
    if (what == CHANGES_COLLECTION)
        return bytes_left(&request->collection) > 0 &&
               join_name(request, request->collection, first);
    return what == CHANGES_RENAMED && copy_name(request, request->name, first) &&
           copy_name(request, "to", second);
}

uint32_t collection_changes_begin(struct client *client, const struct wire_command *request)
{
    const struct session_hooks *hooks = &client->worker->shared->hooks;
    enum changed what = changed_by(request->known);
    char first[NAME_BYTES];
    char second[NAME_BYTES] = "";
    if (what == CHANGES_NOTHING)
        return 0;
    if (!read_scope(request, what, first, second))
        first[0] = second[0] = 0;
    return hooks->collections_change(hooks->context, first, second[0] == 0 ? NULL : second);
}

void collection_changes_lose(struct client *client, uint32_t change)
{
    const struct session_hooks *hooks = &client->worker->shared->hooks;
    if (change != 0)
        hooks->collections_changed(hooks->context, change, true);
}

bool collection_changes_take_reply(struct client *client, struct reply *reply)
{
    const struct session_hooks *hooks = &client->worker->shared->hooks;
    if (reply->pending->change != 0)
        hooks->collections_changed(hooks->context, reply->pending->change, false);
    return true;
}
