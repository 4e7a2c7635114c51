#include "fleet/fleet_sync.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "fleet/fleet_render.h"

static void note_problem(struct known *known, const char *problem)
{
    if (known_set_problem(known, problem) && problem != NULL)
        LOG_E(LOG_SCHEMA, 3020, "registry",
              "A document of the registry is invalid; the proxy enforces the namespace's last good "
              "state",
              LOG_STR("ns", known->ns), LOG_STR("reason", problem));
}

/* --- files -------------------------------------------------------------------------------------
 */

static bool write_one(struct fleet_sync *sync, const struct fleet_planned *planned,
                      struct error *err)
{
    bool changed = false;
    bool ok = planned->file.len == 0
                  ? fleet_folder_remove(sync->folder, planned->ns, &changed, err)
                  : fleet_folder_put(sync->folder, planned->ns, planned->file.data,
                                     planned->file.len, &changed, err);
    if (!ok)
        return false;
    struct known *known = known_find(&sync->known, planned->ns);
    if (known != NULL) {
        known->revision = planned->revision;
        known->updated_ms = planned->updated_ms;
        known->has_file = planned->file.len > 0;
        known->is_written = true;
        memcpy(known->hash, planned->hash, sizeof known->hash);
    }
    if (!changed)
        return true;
    sync->changes++;
    if (planned->updated_ms > sync->newest_ms)
        sync->newest_ms = planned->updated_ms;
    LOG_I(LOG_SCHEMA, 3021, "registry", "Schema file written from the registry",
          LOG_STR("ns", planned->ns), LOG_INT("revision", planned->revision),
          LOG_BOOL("removed", planned->file.len == 0));
    return true;
}

/* If the folder is not writable, the round fails once, and the next round tries the files again. A
 * namespace that gives no file name is a problem of that namespace only. */
static void write_planned(struct fleet_sync *sync)
{
    struct error err;
    for (size_t i = 0; i < sync->planned && !sync->failed; i++) {
        struct fleet_planned *planned = &sync->plan[i];
        struct known *known = known_find(&sync->known, planned->ns);
        if (planned->file.len > 0 && !fleet_folder_claim(sync->folder, planned->ns, &err)) {
            if (known != NULL)
                note_problem(known, err.message);
            text_release(&planned->file);
            memory_free(planned->ns);
            *planned = (struct fleet_planned){0};
        }
    }
    sync->failed = sync->failed || !fleet_folder_save(sync->folder, &sync->failure);
    for (size_t i = 0; i < sync->planned; i++) {
        struct fleet_planned *planned = &sync->plan[i];
        if (planned->ns != NULL && !sync->failed)
            sync->failed = !write_one(sync, planned, &sync->failure);
        text_release(&planned->file);
        memory_free(planned->ns);
    }
    sync->planned = 0;
    sync->failed = sync->failed || !fleet_folder_save(sync->folder, &sync->failure);
}

static void plan(struct fleet_sync *sync, const struct fleet_document *document, struct text *file)
{
    char *ns = memory_copy_string(document->ns);
    if (ns == NULL) {
        text_release(file);
        sync->failed =
            !error_no_memory(&sync->failure, "the schemas of the registry") || sync->failed;
        return;
    }
    struct fleet_planned *planned = &sync->plan[sync->planned++];
    *planned = (struct fleet_planned){.ns = ns,
                                      .file = *file,
                                      .revision = document->revision,
                                      .updated_ms = document->updated_ms};
    if (!fleet_is_empty(document))
        memcpy(planned->hash,
               fleet_version_find(document, document->state.accepted[0].version)->hash,
               sizeof planned->hash);
    if (sync->planned == FLEET_PLAN_MAX)
        write_planned(sync);
}

/* --- documents ---------------------------------------------------------------------------------
 */

/* Writes a removed file again. */
static bool is_current(const struct fleet_sync *sync, const struct known *known, int64_t revision,
                       int64_t updated_ms)
{
    return known->revision == revision && known->updated_ms == updated_ms &&
           known->problem == NULL &&
           (!known->has_file || fleet_folder_holds(sync->folder, known->ns));
}

static void take_document(struct fleet_sync *sync, struct known *known,
                          const struct fleet_document *document)
{
    struct error err;
    struct text file = text_growing();
    if (is_current(sync, known, document->revision, document->updated_ms))
        return;
    if (fleet_is_empty(document) || fleet_render(document, &file, &err)) {
        plan(sync, document, &file);
        return;
    }
    text_release(&file);
    note_problem(known, err.message);
}

static void take(void *arg, const char *ns, struct fleet_document *document,
                 const struct error *problem)
{
    struct fleet_sync *sync = arg;
    struct known *known = known_get(&sync->known, ns);
    sync->found++;
    if (known != NULL) {
        known->seen = sync->round;
        if (document != NULL)
            take_document(sync, known, document);
        else
            note_problem(known, problem->message);
    }
    fleet_document_free(document);
}

static void begin_round(struct fleet_sync *sync)
{
    sync->round++;
    sync->found = 0;
    sync->newest_ms = 0;
    sync->failed = false;
}

static bool end_round(struct fleet_sync *sync, struct error *err)
{
    write_planned(sync);
    return !sync->failed || error_set(err, sync->failure.code, "%s", sync->failure.message);
}

static void note_missing(struct fleet_sync *sync, struct known *known)
{
    if (known->revision == 0) /* the proxy never enforced any of it */
        known_remove(&sync->known, known);
    else
        note_problem(known, "the registry has lost its document; the proxy enforces its last "
                            "state. Push it again, and end it with `schema retire --all`");
}

static void note_all_missing(struct fleet_sync *sync)
{
    struct known *next = NULL;
    for (struct known *known = sync->known.of; known != NULL; known = next) {
        next = known->hh.next;
        if (known->seen != sync->round)
            note_missing(sync, known);
    }
}

static bool check_found(struct fleet_sync *sync, struct error *err)
{
    size_t fed = fleet_folder_count(sync->folder);
    if (sync->found > 0)
        return true;
    if (fed == 0)
        return error_set(err, ERROR_BAD_VALUE,
                         "the registry %s is empty or missing; push a schema into it (mongosluice "
                         "schema push)",
                         fleet_store_name(sync->store));
    return error_set(err, ERROR_BAD_VALUE,
                     "the registry %s is empty or missing; the proxy enforces the last state of "
                     "the %zu schemas that came from it",
                     fleet_store_name(sync->store), fed);
}

bool fleet_sync_all(struct fleet_sync *sync, struct error *err)
{
    begin_round(sync);
    bool read = fleet_store_each(sync->store, NULL, false, take, sync, err);
    bool wrote = end_round(sync, read ? err : NULL);
    if (!read || !wrote || !check_found(sync, err))
        return false;
    note_all_missing(sync);
    return true;
}

bool fleet_sync_some(struct fleet_sync *sync, const bson_t *namespaces, struct error *err)
{
    bson_iter_t at;
    begin_round(sync);
    bool read = fleet_store_each(sync->store, namespaces, false, take, sync, err);
    bool wrote = end_round(sync, read ? err : NULL);
    if (!read || !wrote)
        return false;
    (void)bson_iter_init(&at, namespaces);
    while (bson_iter_next(&at)) {
        struct known *known =
            BSON_ITER_HOLDS_UTF8(&at) ? known_find(&sync->known, bson_iter_utf8(&at, NULL)) : NULL;
        if (known != NULL && known->seen != sync->round)
            note_missing(sync, known);
    }
    return true;
}

static void compare_revision(void *arg, const char *ns, int64_t revision, int64_t updated_ms)
{
    struct fleet_sync *sync = arg;
    struct known *known = known_get(&sync->known, ns);
    char index[16];
    const char *key = NULL;
    sync->found++;
    if (known == NULL)
        return;
    known->seen = sync->round;
    if (strcmp(ns, FLEET_NO_NAME) == 0)
        note_problem(known, "_id is not DATABASE.COLLECTION");
    if (is_current(sync, known, revision, updated_ms) || strcmp(ns, FLEET_NO_NAME) == 0)
        return;
    (void)bson_uint32_to_string(sync->wanted_count++, &key, index, sizeof index);
    BSON_APPEND_UTF8(sync->wanted, key, ns);
}

bool fleet_sync_changed(struct fleet_sync *sync, struct error *err)
{
    begin_round(sync);
    sync->wanted = bson_new();
    sync->wanted_count = 0;
    bool ok =
        fleet_store_revisions(sync->store, compare_revision, sync, err) && check_found(sync, err);
    if (ok)
        note_all_missing(sync);
    ok = ok && (sync->wanted_count == 0 || fleet_sync_some(sync, sync->wanted, err));
    bson_destroy(sync->wanted);
    sync->wanted = NULL;
    return ok;
}

void fleet_sync_confirm(struct fleet_sync *sync, fleet_in_force_fn *in_force, void *arg)
{
    for (struct known *known = sync->known.of; known != NULL; known = known->hh.next) {
        if (!known->is_written)
            continue;
        bool good = !known->has_file || in_force(arg, known->ns, known->hash);
        known->is_written = !good; /* checked again */
        note_problem(known, good ? NULL
                                 : "the proxy does not enforce the file: the log gives the reason "
                                   "(3003), such as another file for the same namespace, or "
                                   "schemas_memory_max");
    }
}
