#include "session/verified_state.h"

#include <utlist.h>

#include "base/memory.h"

struct verifier *verified_as(const struct client *client)
{
    return client->verified != NULL ? client->verified->as : NULL;
}

bool verified_waits(const struct client *client)
{
    return client->verified != NULL && client->verified->proved;
}

bool verified_yields(const struct client *client)
{
    return client->verified != NULL && client->verified->yields;
}

void verified_decided(struct client *client)
{
    if (client->verified == NULL)
        return;
    client->verified->passes = false;
    client->verified->yields = false;
    client->verified->asked_us = 0;
    client->verified->rounds = 0;
}

struct verified *verified_begin(struct client *client)
{
    if (client->verified != NULL)
        return client->verified;
    client->verified = memory_zalloc(sizeof *client->verified);
    if (client->verified != NULL)
        client->verified->client = client;
    return client->verified;
}

void verified_end_conversation(struct verified *verified)
{
    sasl_free(verified->conversation);
    verified->conversation = NULL;
    verified->proved = false;
}

void verified_ask(struct verified *verified)
{
    if (!verified->asking)
        DL_APPEND(verified->client->worker->asking, verified);
    verified->asking = true;
}

static void stop_asking(struct verified *verified)
{
    if (verified->asking)
        DL_DELETE(verified->client->worker->asking, verified);
    verified->asking = false;
}

void verified_answered(struct session_worker *worker)
{
    while (worker->asking != NULL) {
        struct client *client = worker->asking->client;
        stop_asking(client->verified);
        LL_PREPEND2(worker->to_resume, client, resume_next);
    }
}

void verified_end(struct client *client)
{
    struct verified *verified = client->verified;
    if (verified == NULL)
        return;
    stop_asking(verified);
    verified_end_conversation(verified);
    verifier_release(verified->as);
    verifier_release(verified->before);
    memory_free(verified);
    client->verified = NULL;
}
