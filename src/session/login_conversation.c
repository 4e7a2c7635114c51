#include "session/login_conversation.h"

#include "base/clock.h"
#include "wire/hello_request.h"

/* The document of the conversation in a reply. False if there is none. */
static bool find_conversation(enum command_name command, struct bytes document, struct bytes *out)
{
    struct scan_element element;
    *out = document;
    if (command == COMMAND_SASL_START || command == COMMAND_SASL_CONTINUE)
        return true;
    if (!wire_hello_is_command(command))
        return false;
    if (!scan_find(document, "speculativeAuthenticate", &element) ||
        element.kind != BSON_KIND_OBJECT)
        return false;
    *out = element.value;
    return true;
}

void login_conversation_note(struct client *client, enum command_name command,
                             struct bytes document)
{
    struct bytes conversation;
    struct scan_element element;
    bool conversed = client->conversing;
    if (!find_conversation(command, document, &conversation))
        return; /* a conversation that is under way goes on */
    client->conversing = scan_find(document, "ok", &element) && scan_is_true(&element) &&
                         scan_find(conversation, "done", &element) && !scan_is_true(&element);
    if (client->conversing && !conversed)
        client->conversing_since_ms = clock_now_ms();
}
