#include <string.h>

#include "application.h"
#include "check.h"
#include "in_force.h"

/* The comparison of one collection. */
struct comparison {
    struct world *world;
    const struct plan *plan;
    const struct drivers *drivers;
    const char *collection;
};

static bool is_kept(const struct plan *plan, bool majority)
{
    return majority || !plan_can_roll_back(plan);
}

static void check_stored(const struct comparison *on, const struct client *client,
                         const struct written *written, const struct cluster_document *document)
{
    const char *name = client->actor;
    long long token = (long long)written->token;
    unsigned number = application_token_number(written->token);
    unsigned index = application_token_index(written->token);
    if (written_is_absent(client, written)) {
        world_fail(
            on->world, written->deleted ? "deleted is gone" : "refused not stored",
            "%s.%lld (%s, operation %u, document %u) is stored, and the client was told that "
            "it is not",
            on->collection, token, name, number, index);
    }
    if (written->deleted && is_kept(on->plan, written->delete_majority) &&
        !written->maybe_deleted) {
        world_fail(on->world, "deleted is gone",
                   "%s.%lld (%s, operation %u, document %u) is stored after its deletion",
                   on->collection, token, name, number, index);
    }
    if (document->written > 1) {
        world_fail(on->world, "stored once",
                   "%s.%lld (%s, operation %u, document %u) was inserted %u times", on->collection,
                   token, name, number, index, document->written);
    }
    if (document->user != client->what->user) {
        world_fail(on->world, "identity",
                   "%s.%lld (%s, operation %u) was written by user %u and not by user %u",
                   on->collection, token, name, number, document->user, client->what->user);
    }
    int64_t most = written->increments + written->maybe_increments;
    int64_t least =
        is_kept(on->plan, written->increments_majority) && is_kept(on->plan, written->majority)
            ? written->increments
            : 0;
    if (document->increments < least || document->increments > most) {
        world_fail(on->world, "increments once",
                   "%s.%lld (%s, operation %u) counts %lld increments; %u are acknowledged and %u "
                   "have no certain answer",
                   on->collection, token, name, number, (long long)document->increments,
                   written->increments, written->maybe_increments);
    }
}

/* The proxy judged it between its first sending and its storing. */
static void check_schema(const struct comparison *on, const struct written *written,
                         const struct cluster_document *document)
{
    if (on->plan->schemas && document->breaks_schema &&
        !in_force_was_loose(on->world, written->begun_us, document->inserted_us) &&
        strcmp(on->collection, APPLICATION_CHECKED) == 0) {
        world_fail(on->world, "schema holds", "%s.%lld breaks its schema", on->collection,
                   (long long)document->token);
    }
}

static void check_one(void *arg, const struct cluster_document *document)
{
    const struct comparison *on = arg;
    unsigned index = application_token_client(document->token);
    if (index >= on->plan->client_count || on->plan->clients[index].leaves_out) {
        world_fail(on->world, "known documents only", "%s.%lld belongs to no client",
                   on->collection, (long long)document->token);
        return;
    }
    const struct client *client = &on->drivers->clients[index];
    const struct written *written = record_find(&client->record, on->collection, document->token);
    if (written == NULL) {
        world_fail(on->world, "known documents only", "%s.%lld was never written by %s",
                   on->collection, (long long)document->token, client->actor);
        return;
    }
    check_schema(on, written, document);
    check_stored(on, client, written, document);
}

/* Each acknowledged document is there. */
static void check_missing(struct world *world, const struct client *client,
                          const struct cluster *cluster, const struct written *written)
{
    struct cluster_document found;
    if (written->fate == FATE_STORED && !written->deleted && !written->maybe_deleted &&
        is_kept(client->plan, written->majority) &&
        !cluster_find(cluster, written->collection, written->token, &found)) {
        world_fail(world, "acknowledged is stored",
                   "%s.%lld (%s, operation %u, document %u) was acknowledged%s and is not stored",
                   written->collection, (long long)written->token, client->actor,
                   application_token_number(written->token),
                   application_token_index(written->token),
                   written->majority ? " by a majority" : "");
    }
}

void check_end(struct world *world, const struct plan *plan, const struct drivers *drivers,
               const struct cluster *cluster)
{
    static const char *const collections[] = {APPLICATION_OPEN, APPLICATION_CHECKED};
    for (unsigned i = 0; i < plan->client_count; i++) {
        const struct client *client = &drivers->clients[i];
        for (unsigned k = 0; k < client->record.count; k++) {
            check_missing(world, client, cluster, client->record.items[k]);
        }
    }
    for (unsigned i = 0; i < sizeof collections / sizeof collections[0]; i++) {
        struct comparison on = {world, plan, drivers, collections[i]};
        cluster_each(cluster, collections[i], check_one, &on);
    }
}
