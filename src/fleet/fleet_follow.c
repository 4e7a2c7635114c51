#include "fleet/fleet_follow.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "fleet/fleet_sync.h"

enum {
    STREAM_WAIT_MS = 500,  /* one wait for the change stream; fleet_follower_stop waits for it */
    RESYNC_MS = 60000,     /* between two comparisons of all revisions */
    RETRY_MS = 1000,       /* after an error; doubled up to … */
    RETRY_MAX_MS = 15000,  /* … this */
    HEARTBEAT_MS = 10000,  /* between two reports of the proxy about itself */
    FORGET_MS = 86400000,  /* the age at which other proxies remove a proxy's report */
    TELL_MS = 500,         /* the least time between two reports */
    REVISIONS_MAX = 20000, /* in a proxy's report */
    BROKEN_MAX = 100
};

const char *const fleet_mode_names[] = {"away", "change stream", "polling"};

struct fleet_follower {
    struct fleet_sync sync;
    char *folder_path;
    char *name;
    char *version;
    int64_t period_ms;
    void (*changed)(void *);
    bool (*in_force)(void *arg, const char *ns, const char *hash);
    void *arg;
    int64_t heartbeat_ms; /* monotonic: time of the last report; 0: none */
    bool has_news;        /* changes that the last report does not hold */
    int64_t resync_ms;    /* monotonic: time of the last comparison of all revisions */
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool stopping;
    struct fleet_status status;
};

static bool is_stopping(struct fleet_follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    bool stopping = follower->stopping;
    pthread_mutex_unlock(&follower->lock);
    return stopping;
}

static void wait_ms(struct fleet_follower *follower, int64_t ms)
{
    struct timespec until = clock_deadline(ms);
    pthread_mutex_lock(&follower->lock);
    while (!follower->stopping &&
           pthread_cond_timedwait(&follower->wake, &follower->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&follower->lock);
}

/* --- status --- */

static void list_problems(const struct fleet_follower *follower, struct fleet_status *status)
{
    status->problem_count = 0;
    status->shown = 0;
    for (const struct known *known = follower->sync.known.of; known != NULL;
         known = known->hh.next) {
        if (known->problem == NULL)
            continue;
        status->problem_count++;
        if (status->shown == FLEET_PROBLEMS_SHOWN)
            continue;
        struct fleet_problem *problem = &status->problems[status->shown++];
        (void)snprintf(problem->ns, sizeof problem->ns, "%s", known->ns);
        (void)snprintf(problem->reason, sizeof problem->reason, "%s", known->problem);
    }
}

/* Logs an error that differs from the last one. */
static void note_error(struct fleet_follower *follower, enum fleet_mode mode, const char *error,
                       bool counts)
{
    pthread_mutex_lock(&follower->lock);
    struct fleet_status *status = &follower->status;
    bool is_new = error[0] != 0 && strcmp(status->error, error) != 0;
    bool is_over = error[0] == 0 && status->error[0] != 0;
    status->mode = mode;
    status->errors += counts;
    (void)snprintf(status->error, sizeof status->error, "%s", error);
    pthread_mutex_unlock(&follower->lock);
    if (is_new)
        LOG_W(LOG_SCHEMA, 3022, "registry",
              "The registry of schemas cannot be followed; the proxy enforces its last state",
              LOG_STR("cause", error));
    if (is_over)
        LOG_I(LOG_SCHEMA, 3023, "registry", "The proxy follows the registry of schemas again");
}

static void note_contact(struct fleet_follower *follower, enum fleet_mode mode, bool loaded)
{
    note_error(follower, mode, "", false);
    pthread_mutex_lock(&follower->lock);
    struct fleet_status *status = &follower->status;
    status->contact_ms = clock_wall_ms();
    status->loaded = status->loaded || loaded;
    status->changes = follower->sync.changes;
    if (follower->sync.folder != NULL)
        status->namespaces = fleet_folder_count(follower->sync.folder);
    list_problems(follower, status);
    pthread_mutex_unlock(&follower->lock);
}

/* --- reports --- */

/* {namespace: revision} in one binary value, because the names have dots. */
static void add_revisions(const struct fleet_follower *follower, bson_t *out)
{
    bson_t list = BSON_INITIALIZER;
    size_t count = 0;
    for (const struct known *known = follower->sync.known.of;
         known != NULL && count < REVISIONS_MAX; known = known->hh.next) {
        if (known->revision == 0 || known->problem != NULL)
            continue;
        BSON_APPEND_INT64(&list, known->ns, known->revision);
        count++;
    }
    BSON_APPEND_BINARY(out, "revisions", BSON_SUBTYPE_BINARY, bson_get_data(&list), list.len);
    bson_destroy(&list);
}

static void add_broken(const struct fleet_follower *follower, bson_t *out)
{
    bson_t list;
    bson_t one;
    char index[16];
    const char *key = NULL;
    uint32_t count = 0;
    BSON_APPEND_ARRAY_BEGIN(out, "broken", &list);
    for (const struct known *known = follower->sync.known.of; known != NULL && count < BROKEN_MAX;
         known = known->hh.next) {
        if (known->problem == NULL)
            continue;
        (void)bson_uint32_to_string(count++, &key, index, sizeof index);
        BSON_APPEND_DOCUMENT_BEGIN(&list, key, &one);
        BSON_APPEND_UTF8(&one, "ns", known->ns);
        BSON_APPEND_UTF8(&one, "reason", known->problem);
        bson_append_document_end(&list, &one);
    }
    bson_append_array_end(out, &list);
}

/* The proxy follows the registry even if its user may only read it. */
static void tell(struct fleet_follower *follower, enum fleet_mode mode)
{
    struct error err;
    bson_t *fields = bson_new();
    BSON_APPEND_DATE_TIME(fields, "seen", clock_wall_ms());
    BSON_APPEND_UTF8(fields, "version", follower->version);
    BSON_APPEND_UTF8(fields, "mode", fleet_mode_names[mode]);
    BSON_APPEND_INT32(fields, "namespaces", (int32_t)fleet_folder_count(follower->sync.folder));
    add_revisions(follower, fields);
    add_broken(follower, fields);
    bool told = fleet_store_put_proxy(follower->sync.store, follower->name, fields, &err);
    bson_destroy(fields);
    follower->heartbeat_ms = clock_now_ms();
    follower->has_news = false;
    pthread_mutex_lock(&follower->lock);
    char *trouble = follower->status.trouble;
    bool is_new = !told && trouble[0] == 0;
    (void)snprintf(trouble, sizeof follower->status.trouble, "%s", told ? "" : err.message);
    pthread_mutex_unlock(&follower->lock);
    if (is_new)
        LOG_W(LOG_SCHEMA, 3024, "registry",
              "The proxy cannot report its state to the registry of schemas; it follows the "
              "registry all the same",
              LOG_STR("cause", err.message));
}

/* --- following ---------------------------------------------------------------------------------
 */

/* After a round that wrote files: enforces them, reports them, and measures the lag. */
static void take_over(struct fleet_follower *follower, enum fleet_mode mode, uint64_t before)
{
    int64_t silent_ms = clock_now_ms() - follower->heartbeat_ms;
    follower->has_news = follower->has_news || follower->sync.changes != before;
    if (follower->sync.changes != before) {
        follower->changed(follower->arg);
        int64_t lag_ms = clock_wall_ms() - follower->sync.newest_ms;
        pthread_mutex_lock(&follower->lock);
        if (follower->status.contact_ms != 0) /* the first reading finds old changes */
            follower->status.lag_ms = lag_ms < 0 ? 0 : lag_ms;
        pthread_mutex_unlock(&follower->lock);
    }
    fleet_sync_confirm(&follower->sync, follower->in_force, follower->arg);
    if (follower->heartbeat_ms == 0 || silent_ms >= HEARTBEAT_MS ||
        (follower->has_news && silent_ms >= TELL_MS))
        tell(follower, mode);
    note_contact(follower, mode, true);
}

/* False if the registry or the folder failed. */
static bool sync_once(struct fleet_follower *follower, enum fleet_mode mode, const bson_t *some,
                      struct error *err)
{
    uint64_t before = follower->sync.changes;
    bool ok = true;
    if (some != NULL) {
        ok = fleet_sync_some(&follower->sync, some, err);
    } else {
        bool first = follower->resync_ms == 0;
        ok =
            first ? fleet_sync_all(&follower->sync, err) : fleet_sync_changed(&follower->sync, err);
        if (ok)
            follower->resync_ms = clock_now_ms();
    }
    if (ok)
        take_over(follower, mode, before);
    else if (follower->sync.changes != before)
        follower->changed(follower->arg); /* some files were written */
    return ok;
}

/* Runs until the stream ends or fails, or the follower stops. */
static bool follow_stream(struct fleet_follower *follower, struct error *err)
{
    bool lost = false;
    while (!lost && !is_stopping(follower)) {
        bson_t changed;
        if (!fleet_store_next(follower->sync.store, STREAM_WAIT_MS, &changed, &lost, err))
            return false;
        bool due = clock_now_ms() - follower->resync_ms >= RESYNC_MS;
        bool ok = true;
        if (bson_count_keys(&changed) > 0)
            ok = sync_once(follower, FLEET_STREAM, &changed, err);
        else if (due)
            ok = sync_once(follower, FLEET_STREAM, NULL, err);
        else
            take_over(follower, FLEET_STREAM, follower->sync.changes);
        bson_destroy(&changed);
        if (!ok)
            return false;
    }
    return true;
}

static bool poll(struct fleet_follower *follower, struct error *err)
{
    while (!is_stopping(follower)) {
        wait_ms(follower, follower->period_ms);
        if (!is_stopping(follower) && !sync_once(follower, FLEET_POLLING, NULL, err))
            return false;
    }
    return true;
}

static bool open_folder(struct fleet_follower *follower, struct error *err)
{
    if (follower->sync.folder == NULL)
        follower->sync.folder = fleet_folder_open(follower->folder_path, err);
    return follower->sync.folder != NULL;
}

static bool follow(struct fleet_follower *follower, struct error *err)
{
    bool streams = false;
    struct error ignored;
    if (!open_folder(follower, err) || !fleet_store_watch(follower->sync.store, &streams, err))
        return false;
    enum fleet_mode mode = streams ? FLEET_STREAM : FLEET_POLLING;
    if (follower->heartbeat_ms == 0)
        (void)fleet_store_remove_proxies(follower->sync.store, clock_wall_ms() - FORGET_MS,
                                         &ignored);
    if (!sync_once(follower, mode, NULL, err))
        return false;
    return streams ? follow_stream(follower, err) : poll(follower, err);
}

/* Opens the folder again, because it may have been replaced, and compares every file. */
static void begin_anew(struct fleet_follower *follower)
{
    fleet_folder_close(follower->sync.folder);
    follower->sync.folder = NULL;
    known_clear(&follower->sync.known);
    follower->resync_ms = 0;
}

static void *run(void *arg)
{
    struct fleet_follower *follower = arg;
    struct error err;
    int64_t retry_ms = RETRY_MS;
    while (!is_stopping(follower)) {
        int64_t since_ms = clock_now_ms();
        if (follow(follower, &err)) {
            retry_ms = RETRY_MS;
            continue;
        }
        note_error(follower, FLEET_AWAY, err.message, true);
        if (follower->sync.failed)
            begin_anew(follower);
        pthread_mutex_lock(&follower->lock);
        list_problems(follower, &follower->status);
        pthread_mutex_unlock(&follower->lock);
        if (clock_now_ms() - since_ms > RETRY_MAX_MS)
            retry_ms = RETRY_MS;
        wait_ms(follower, retry_ms);
        retry_ms = retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : retry_ms * 2;
    }
    if (follower->heartbeat_ms != 0 && follower->status.mode != FLEET_AWAY)
        (void)fleet_store_remove_proxy(follower->sync.store, follower->name, &err);
    return NULL;
}

/* --- life --------------------------------------------------------------------------------------
 */

static void destroy(struct fleet_follower *follower)
{
    fleet_store_close(follower->sync.store);
    fleet_folder_close(follower->sync.folder);
    known_clear(&follower->sync.known);
    memory_free(follower->folder_path);
    memory_free(follower->name);
    memory_free(follower->version);
    pthread_cond_destroy(&follower->wake);
    pthread_mutex_destroy(&follower->lock);
    memory_free(follower);
}

static bool take_settings(struct fleet_follower *follower,
                          const struct fleet_follow_settings *settings, struct error *err)
{
    follower->folder_path = memory_copy_string(settings->folder);
    follower->name = memory_copy_string(settings->name);
    follower->version = memory_copy_string(settings->version);
    follower->period_ms = settings->period_ms;
    follower->changed = settings->changed;
    follower->in_force = settings->in_force;
    follower->arg = settings->arg;
    (void)snprintf(follower->status.registry, sizeof follower->status.registry, "%s",
                   settings->registry);
    (void)snprintf(follower->status.error, sizeof follower->status.error,
                   "the registry has not been read yet");
    follower->status.lag_ms = -1;
    follower->status.loaded = fleet_folder_is_fed(settings->folder);
    if (follower->folder_path == NULL || follower->name == NULL || follower->version == NULL)
        return error_no_memory(err, "the registry");
    follower->sync.store = fleet_store_open(settings->uri, settings->registry, err);
    return follower->sync.store != NULL;
}

struct fleet_follower *fleet_follow(const struct fleet_follow_settings *settings, struct error *err)
{
    struct fleet_follower *follower = memory_zalloc(sizeof *follower);
    if (follower == NULL) {
        (void)error_no_memory(err, "the registry");
        return NULL;
    }
    pthread_mutex_init(&follower->lock, NULL);
    clock_init_condition(&follower->wake);
    if (take_settings(follower, settings, err)) {
        if (pthread_create(&follower->thread, NULL, run, follower) == 0)
            return follower;
        (void)error_set(err, ERROR_INTERNAL, "cannot start a thread to follow the registry");
    }
    destroy(follower);
    return NULL;
}

void fleet_follower_status(struct fleet_follower *follower, struct fleet_status *out)
{
    pthread_mutex_lock(&follower->lock);
    *out = follower->status;
    pthread_mutex_unlock(&follower->lock);
}

void fleet_follower_stop(struct fleet_follower *follower)
{
    if (follower == NULL)
        return;
    pthread_mutex_lock(&follower->lock);
    follower->stopping = true;
    pthread_cond_signal(&follower->wake);
    pthread_mutex_unlock(&follower->lock);
    pthread_join(follower->thread, NULL);
    destroy(follower);
}
