#include "check.h"

void check_fails(const struct client *client, const char *check, const char *command,
                 const bson_t *reply, const char *problem)
{
    char *text = reply == NULL ? NULL : bson_as_relaxed_extended_json(reply, NULL);
    world_fail(client->world, check, "%s: %s: %s: %.600s", client->actor, command, problem,
               text == NULL ? "(no reply)" : text);
    bson_free(text);
}

void check_refusal(const struct client *client, const char *command, const struct result *result)
{
    if (!plan_can_refuse(client, result->code)) {
        char problem[96];
        bson_snprintf(problem, sizeof problem, "no fault of the plan explains the error %d%s",
                      result->code, result->reply == NULL ? " of a login" : "");
        check_fails(client, "error explained", command, result->reply, problem);
    }
}

void check_loss(const struct client *client, const char *command)
{
    if (!plan_can_lose(client->plan)) {
        world_fail(client->world, "loss explained",
                   "%s: %s: the connection broke, and no fault of the plan explains it",
                   client->actor, command);
    }
}
