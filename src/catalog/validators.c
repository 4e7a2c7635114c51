#include "catalog/validators.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/namespace.h"
#include "upstream/reading_client.h"

/* A command may be the first of many: one reading follows them all. */
enum { GATHER_MS = 50 };

struct validators {
    struct validators_settings settings;
    mongoc_client_t *client; /* owned by the thread */
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t wake;
    bool refresh;
    bool stopping;
};

struct list {
    struct validators_found *of;
    size_t count;
    bool failed; /* no memory */
};

/* --- one reading --------------------------------------------------------------------------------
 */

static void list_release(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        memory_free(list->of[i].ns);
        memory_free((void *)list->of[i].schema.pos);
        memory_free(list->of[i].left_out);
    }
    memory_free(list->of);
}

static const char *find_text(const bson_t *options, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, options, name) && BSON_ITER_HOLDS_UTF8(&at)
               ? bson_iter_utf8(&at, NULL)
               : "";
}

/* schema: NULL if the validator contains more; left_out then names it. */
static void add(struct list *list, const char *database, const char *collection,
                const bson_t *options, const bson_t *schema, const char *left_out)
{
    struct validators_found *bigger = memory_resize(list->of, (list->count + 1) * sizeof *list->of);
    if (bigger == NULL) {
        list->failed = true;
        return;
    }
    list->of = bigger;
    size_t ns_len = strlen(database) + strlen(collection) + 1;
    size_t schema_len = schema == NULL ? 0 : schema->len;
    char *ns = memory_alloc(ns_len + 1);
    char *reason = left_out == NULL ? NULL : memory_copy_string(left_out);
    uint8_t *copy = memory_alloc(schema_len + 1);
    if (ns == NULL || copy == NULL || (left_out != NULL && reason == NULL)) {
        memory_free(ns);
        memory_free(reason);
        memory_free(copy);
        list->failed = true;
        return;
    }
    ns[namespace_join(bytes_of(database, strlen(database)),
                      bytes_of(collection, strlen(collection)), ns, ns_len)] = 0;
    if (schema != NULL)
        memcpy(copy, bson_get_data(schema), schema_len);
    bigger[list->count++] =
        (struct validators_found){.ns = ns,
                                  .schema = bytes_of(copy, schema_len),
                                  .left_out = reason,
                                  .level = (enum schema_level)schema_name_index(
                                      schema_level_names, find_text(options, "validationLevel")),
                                  .action = (enum schema_action)schema_name_index(
                                      schema_action_names, find_text(options, "validationAction"))};
}

/* The first part of a validator that is not $jsonSchema; NULL if there is none. */
static const char *find_more(const bson_t *validator)
{
    bson_iter_t at;
    if (!bson_iter_init(&at, validator))
        return "";
    while (bson_iter_next(&at))
        if (strcmp(bson_iter_key(&at), "$jsonSchema") != 0 || !BSON_ITER_HOLDS_DOCUMENT(&at))
            return bson_iter_key(&at);
    return NULL;
}

/* A validator is a query. Only the server can check its other conditions and report them. */
static void take_validator(struct list *list, const char *database, const char *name,
                           const bson_t *options, const bson_t *validator)
{
    char reason[256];
    bson_iter_t at;
    bson_t schema;
    const uint8_t *data = NULL;
    uint32_t len = 0;
    const char *more = find_more(validator);
    if (more == NULL && bson_count_keys(validator) == 1 &&
        bson_iter_init_find(&at, validator, "$jsonSchema")) {
        bson_iter_document(&at, &len, &data);
        if (bson_init_static(&schema, data, len))
            add(list, database, name, options, &schema, NULL);
        return;
    }
    (void)snprintf(reason, sizeof reason,
                   "the validator is more than one $jsonSchema: it contains %.150s",
                   more == NULL ? "$jsonSchema several times" : more);
    add(list, database, name, options, NULL, reason);
}

static void take_collection(struct list *list, const char *database, const bson_t *description)
{
    bson_iter_t at;
    bson_iter_t inner;
    bson_t options;
    bson_t validator;
    const uint8_t *data = NULL;
    uint32_t len = 0;
    const char *name = find_text(description, "name");
    if (!bson_iter_init_find(&at, description, "options") || !BSON_ITER_HOLDS_DOCUMENT(&at))
        return;
    bson_iter_document(&at, &len, &data);
    if (!bson_init_static(&options, data, len) ||
        !bson_iter_init_find(&inner, &options, "validator") || !BSON_ITER_HOLDS_DOCUMENT(&inner))
        return;
    bson_iter_document(&inner, &len, &data);
    if (bson_init_static(&validator, data, len) && !bson_empty(&validator))
        take_validator(list, database, name, &options, &validator);
}

static bool read_database(mongoc_client_t *client, const char *name, struct list *list,
                          bson_error_t *error)
{
    const bson_t *description = NULL;
    mongoc_database_t *database = mongoc_client_get_database(client, name);
    mongoc_cursor_t *cursor = mongoc_database_find_collections_with_opts(database, NULL);
    while (mongoc_cursor_next(cursor, &description))
        take_collection(list, name, description);
    bool ok = !mongoc_cursor_error(cursor, error);
    mongoc_cursor_destroy(cursor);
    mongoc_database_destroy(database);
    return ok;
}

static bool is_internal(const char *name)
{
    return strcmp(name, "admin") == 0 || strcmp(name, "config") == 0 || strcmp(name, "local") == 0;
}

static bool is_stopping(struct validators *validators)
{
    pthread_mutex_lock(&validators->lock);
    bool stopping = validators->stopping;
    pthread_mutex_unlock(&validators->lock);
    return stopping;
}

static void read_all(struct validators *validators)
{
    bson_error_t error;
    struct list list = {0};
    validators->settings.begins(validators->settings.arg);
    char **names = mongoc_client_get_database_names_with_opts(validators->client, NULL, &error);
    bool ok = names != NULL;
    for (size_t i = 0; ok && names[i] != NULL && !is_stopping(validators); i++)
        ok = is_internal(names[i]) || read_database(validators->client, names[i], &list, &error);
    bson_strfreev(names);
    if (list.failed) {
        ok = false;
        (void)snprintf(error.message, sizeof error.message, "out of memory for the validators");
    }
    if (is_stopping(validators)) { /* the result may be incomplete */
        list_release(&list);
        return;
    }
    if (ok)
        validators->settings.found(validators->settings.arg, list.of, list.count);
    else
        validators->settings.failed(validators->settings.arg, error.message);
    list_release(&list);
}

/* --- the thread ---------------------------------------------------------------------------------
 */

static void wait_ms(struct validators *validators, int64_t ms)
{
    struct timespec until = clock_deadline(ms);
    while (!validators->refresh && !validators->stopping &&
           pthread_cond_timedwait(&validators->wake, &validators->lock, &until) == 0) {
    }
}

static void *run(void *arg)
{
    struct validators *validators = arg;
    const struct timespec gather = {.tv_nsec = GATHER_MS * 1000000L};
    pthread_mutex_lock(&validators->lock);
    while (!validators->stopping) {
        validators->refresh = false;
        pthread_mutex_unlock(&validators->lock);
        read_all(validators);
        pthread_mutex_lock(&validators->lock);
        wait_ms(validators, validators->settings.period_ms);
        if (validators->refresh && !validators->stopping) {
            pthread_mutex_unlock(&validators->lock);
            nanosleep(&gather, NULL);
            pthread_mutex_lock(&validators->lock);
        }
    }
    pthread_mutex_unlock(&validators->lock);
    return NULL;
}

static void wake(struct validators *validators, bool *flag)
{
    pthread_mutex_lock(&validators->lock);
    *flag = true;
    pthread_cond_signal(&validators->wake);
    pthread_mutex_unlock(&validators->lock);
}

void validators_refresh(struct validators *validators)
{
    wake(validators, &validators->refresh);
}

void validators_free(struct validators *validators)
{
    if (validators == NULL)
        return;
    if (validators->client != NULL)
        mongoc_client_destroy(validators->client);
    pthread_cond_destroy(&validators->wake);
    pthread_mutex_destroy(&validators->lock);
    memory_free(validators);
}

void validators_stop(struct validators *validators)
{
    if (validators == NULL)
        return;
    wake(validators, &validators->stopping);
    pthread_join(validators->thread, NULL);
}

struct validators *validators_start(const struct uri *uri,
                                    const struct validators_settings *settings, struct error *err)
{
    struct validators *validators = memory_zalloc(sizeof *validators);
    if (validators == NULL) {
        (void)error_no_memory(err, "the validators");
        return NULL;
    }
    validators->settings = *settings;
    pthread_mutex_init(&validators->lock, NULL);
    clock_init_condition(&validators->wake);
    validators->client = reading_client_new(uri, "the collections' validators", err);
    if (validators->client != NULL &&
        pthread_create(&validators->thread, NULL, run, validators) == 0)
        return validators;
    if (validators->client != NULL)
        (void)error_set(err, ERROR_INTERNAL,
                        "cannot start a thread for reading the collections' validators");
    validators_free(validators);
    return NULL;
}
