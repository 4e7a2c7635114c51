#include "session/checking.h"

#include <bson/bson.h>
#include <time.h>

#include "base/log_sample.h"
#include "base/memory.h"
#include "enforce/check.h"
#include "session/described_users.h"

/* The interval for reading the clock during a check. */
enum { PORTION_NS = 20000 };

static const char *log_message(const struct registry_entry *entry, bool warned, bool silent)
{
    if (warned)
        return "A document breaks its schema; the write passes";
    if (silent)
        return "A write without a reply breaks its schema; the proxy drops it";
    return entry->file.action == SCHEMA_ACTION_ERROR_AND_LOG
               ? "A document was refused by its schema"
               : NULL;
}

/* Call bson_free on it. NULL without errInfo. */
static char *as_json(struct bytes info)
{
    bson_t document;
    return bytes_left(&info) > 0 && bson_init_static(&document, info.pos, bytes_left(&info))
               ? bson_as_relaxed_extended_json(&document, NULL)
               : NULL;
}

static void on_refused(void *arg, const struct registry_entry *entry, bool warned, bool silent,
                       const char *reason, struct bytes info)
{
    const struct client *client = arg;
    const char *message = log_message(entry, warned, silent);
    const char *application = client->writer.application;
    char peer[ADDRESS_TEXT_BYTES];
    char users[SESSION_IDENTITY_BYTES];
    char *json = NULL;
    registry_note_refusal(entry, clock_wall_ms(), warned, reason, info);
    if (message == NULL || !log_enabled(LOG_WARNING) ||
        !log_sample_take(LOG_WARNING, 3010, entry->file.ns, message))
        return;
    if (client_config(client)->log.show_values == CONFIG_TRUE)
        json = as_json(info);
    address_describe_peer(&client->peer, peer);
    LOG_W(LOG_SCHEMA, 3010, client->context, message, LOG_STR("ns", entry->file.ns),
          LOG_STR("reason", reason), LOG_BOOL("warned", warned), LOG_STR("remote", peer),
          LOG_STR("user", described_users(client, users)),
          LOG_STR("application", application != NULL ? application : ""),
          json != NULL ? LOG_JSON("errInfo", json) : (struct log_attr){.type = LOG_ATTR_END});
    bson_free(json);
}

/* The observer's clock: the core has none. */
static uint64_t now_ns(void *arg)
{
    (void)arg;
    return clock_now_ns();
}

static int64_t wall_ms(void *arg)
{
    (void)arg;
    return clock_wall_ms();
}

static bool is_spent(void *arg)
{
    const struct client *client = arg;
    return !turn_may_go_on(worker_turn(client->worker->worker));
}

static bool take(void *arg, size_t bytes)
{
    const struct client *client = arg;
    return budget_take(&client->worker->shared->budget, bytes);
}

static void give_back(void *arg, size_t bytes)
{
    const struct client *client = arg;
    budget_give_back(&client->worker->shared->budget, bytes);
}

static struct enforce_observer observer_of(struct client *client)
{
    return (struct enforce_observer){.arg = client,
                                     .refused = on_refused,
                                     .now_ns = now_ns,
                                     .wall_ms = wall_ms,
                                     .tally = client->worker->tally,
                                     .writer = client->writer.application != NULL ? &client->writer
                                                                                  : NULL,
                                     .spent = is_spent,
                                     .portion_ns = PORTION_NS,
                                     .take = take,
                                     .give_back = give_back};
}

/* False without memory: the check is dropped. */
static bool keep(struct client *client, const struct message *message,
                 const struct wire_command *request, struct check *check,
                 const struct enforce_observer *observer)
{
    struct checking *checking = memory_zalloc(sizeof *checking);
    if (checking == NULL) {
        enforce_check_free(check, observer);
        return false;
    }
    *checking = (struct checking){.check = check,
                                  .registry = registry_retain(client->worker->schemas.registry),
                                  .message = *message,
                                  .request = *request};
    client->checking = checking;
    return true;
}

enum enforce_progress checking_run(struct client *client, const struct message *message,
                                   const struct wire_command *request,
                                   const struct enforce_command *command,
                                   struct enforce_result *result, struct error *err)
{
    struct session_worker *worker = client->worker;
    struct checking *checking = client->checking;
    struct check *check = NULL;
    struct enforce_observer observer = observer_of(client);
    if (checking != NULL)
        return enforce_go_on(&checking->check, checking->registry, worker->scratch, command,
                             &observer, result, err);
    enum enforce_progress progress = enforce_go_on(
        &check, worker->schemas.registry, worker->scratch, command, &observer, result, err);
    if (progress == ENFORCE_PART && !keep(client, message, request, check, &observer)) {
        (void)error_no_memory(err, "the check of a command");
        return ENFORCE_FAILED;
    }
    return progress;
}

void checking_release_result(struct client *client, struct enforce_result *result)
{
    struct budget *budget = &client->worker->shared->budget;
    budget_give_back(budget, result->block_bytes);
    if (result->splice != NULL)
        budget_give_back(budget, enforce_splice_bytes(result->splice));
    enforce_result_release(result);
}

struct buffer checking_take(struct enforce_result *result, struct bytes content)
{
    struct buffer buffer = {.data = result->block,
                            .start = (size_t)(content.pos - result->block),
                            .end = (size_t)(content.end - result->block),
                            .cap = result->block_bytes};
    result->block = NULL;
    result->block_bytes = 0;
    return buffer;
}

void checking_free(struct client *client)
{
    struct checking *checking = client->checking;
    if (checking == NULL)
        return;
    struct enforce_observer observer = observer_of(client);
    client->checking = NULL;
    enforce_check_free(checking->check, &observer);
    registry_release(checking->registry);
    memory_free(checking);
}
