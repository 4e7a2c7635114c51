#include "catalog/catalog.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "catalog/change_stream.h"
#include "catalog/collections.h"
#include "catalog/folder.h"
#include "catalog/validators.h"

struct catalog {
    pthread_mutex_t work; /* held by the thread that makes a change; guards the next four fields */
    struct current_set set;
    struct folder folder;
    struct collections collections;
    struct suspensions suspensions;
    struct validators *validators; /* NULL: the upstream's collections are not read */
    struct change_stream *stream;  /* NULL in the same case */
    atomic_bool validators_known;  /* they have been read at least once */
};

/* The problems that operators are shown; the log has all. */
enum { PROBLEMS_SHOWN = 10 };

struct problem_list {
    struct json json;
    size_t left;
};

static void add_problem(void *arg, const char *path, const char *problem)
{
    struct problem_list *list = arg;
    if (list->left == 0)
        return;
    list->left--;
    json_open_object(&list->json, NULL);
    json_add_string(&list->json, "file", path);
    json_add_string(&list->json, "error", problem);
    json_close_object(&list->json);
}

static void publish(struct catalog *catalog)
{
    size_t broken = folder_broken(&catalog->folder);
    struct text text = text_growing();
    struct problem_list list = {.json = json_over(&text), .left = PROBLEMS_SHOWN};
    if (broken > 0) {
        json_open_array(&list.json, NULL);
        folder_each_problem(&catalog->folder, add_problem, &list);
        json_close_array(&list.json);
    }
    current_set_publish(&catalog->set, broken, broken > 0 && !text.cut ? text.data : NULL);
    text_release(&text);
}

/* --- the folder ---------------------------------------------------------------------------------
 */

static void rescan(struct catalog *catalog, bool retry)
{
    folder_rescan(&catalog->folder, &catalog->set, retry);
    publish(catalog);
}

void catalog_rescan(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->work);
    rescan(catalog, false);
    pthread_mutex_unlock(&catalog->work);
}

bool catalog_set_folder(struct catalog *catalog, const char *folder, struct error *err)
{
    char *copy = memory_copy_string(folder);
    if (copy == NULL)
        return error_no_memory(err, "the schemas");
    pthread_mutex_lock(&catalog->work);
    folder_set_path(&catalog->folder, copy);
    rescan(catalog, true);
    pthread_mutex_unlock(&catalog->work);
    return true;
}

/* --- the upstream's collections -----------------------------------------------------------------
 */

/* On the reading thread, here and below. */
static void validators_begin(void *arg)
{
    struct catalog *catalog = arg;
    pthread_mutex_lock(&catalog->work);
    suspensions_reading_begins(&catalog->suspensions, clock_now_ms());
    pthread_mutex_unlock(&catalog->work);
}

static void validators_found(void *arg, const struct validators_found *all, size_t count)
{
    struct catalog *catalog = arg;
    pthread_mutex_lock(&catalog->work);
    suspensions_reading_ends(&catalog->suspensions);
    bool taken =
        collections_take(&catalog->collections, &catalog->set, &catalog->suspensions, all, count);
    publish(catalog);
    pthread_mutex_unlock(&catalog->work);
    if (taken)
        atomic_store(&catalog->validators_known, true);
}

static void validators_failed(void *arg, const char *cause)
{
    (void)arg;
    LOG_W(LOG_SCHEMA, 3006, "schemas",
          "Cannot read the validators of the upstream's collections; the known ones stay",
          LOG_STR("cause", cause));
}

static uint32_t begin_change(struct catalog *catalog, const struct suspension_scope *scope)
{
    pthread_mutex_lock(&catalog->work);
    uint32_t number = suspensions_begin(&catalog->suspensions, scope);
    collections_suspend(&catalog->collections, &catalog->set, scope);
    publish(catalog);
    pthread_mutex_unlock(&catalog->work);
    return number;
}

static void end_change(struct catalog *catalog, uint32_t number, bool lost)
{
    pthread_mutex_lock(&catalog->work);
    (void)suspensions_end(&catalog->suspensions, number, lost, clock_now_ms());
    pthread_mutex_unlock(&catalog->work);
}

/* Another client changed collections; its command has ended. */
static void stream_changed(void *arg, const struct suspension_scope *scope)
{
    struct catalog *catalog = arg;
    end_change(catalog, begin_change(catalog, scope), false);
    validators_refresh(catalog->validators);
}

static void stream_begins(void *arg)
{
    validators_refresh(((struct catalog *)arg)->validators);
}

bool catalog_follow_upstream(struct catalog *catalog, const struct uri *uri, int64_t period_ms,
                             struct error *err)
{
    struct validators_settings settings = {.period_ms = period_ms,
                                           .begins = validators_begin,
                                           .found = validators_found,
                                           .failed = validators_failed,
                                           .arg = catalog};
    struct change_stream_settings stream = {
        .retry_ms = period_ms, .changed = stream_changed, .begins = stream_begins, .arg = catalog};
    catalog->validators = validators_start(uri, &settings, err);
    if (catalog->validators != NULL)
        catalog->stream = change_stream_start(uri, &stream, err);
    return catalog->stream != NULL;
}

uint32_t catalog_change_begins(struct catalog *catalog, const struct suspension_scope *scope)
{
    return catalog->validators == NULL ? 0 : begin_change(catalog, scope);
}

void catalog_change_ends(struct catalog *catalog, uint32_t number, bool lost)
{
    if (number == 0)
        return;
    end_change(catalog, number, lost);
    validators_refresh(catalog->validators);
}

void catalog_stop(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    change_stream_stop(catalog->stream);
    catalog->stream = NULL;
    validators_stop(catalog->validators);
}

/* --- reading ------------------------------------------------------------------------------------
 */

struct registry *catalog_registry(struct catalog *catalog)
{
    return current_set_registry(&catalog->set);
}

size_t catalog_broken(struct catalog *catalog)
{
    return current_set_broken(&catalog->set);
}

char *catalog_problems(struct catalog *catalog)
{
    return current_set_problems(&catalog->set);
}

bool catalog_is_loaded(const struct catalog *catalog)
{
    return catalog->validators == NULL || atomic_load(&catalog->validators_known);
}

/* --- life ---------------------------------------------------------------------------------------
 */

void catalog_destroy(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    validators_free(catalog->validators);
    folder_release(&catalog->folder);
    collections_release(&catalog->collections);
    suspensions_release(&catalog->suspensions);
    current_set_release(&catalog->set);
    pthread_mutex_destroy(&catalog->work);
    memory_free(catalog);
}

/* Makes a catalog without reading the folder. */
static struct catalog *create_empty(const char *folder, size_t memory_max, struct error *err)
{
    struct catalog *catalog = memory_zalloc(sizeof *catalog);
    if (catalog == NULL) {
        (void)error_no_memory(err, "the schemas");
        return NULL;
    }
    pthread_mutex_init(&catalog->work, NULL);
    bool ok = current_set_init(&catalog->set, memory_max);
    if (folder_init(&catalog->folder, folder) && ok)
        return catalog;
    (void)error_no_memory(err, "the schemas");
    catalog_destroy(catalog);
    return NULL;
}

struct catalog *catalog_create(const struct catalog_settings *settings, struct error *err)
{
    struct catalog *catalog = create_empty(settings->folder, settings->memory_max, err);
    if (catalog == NULL)
        return NULL;
    catalog->set.publish = settings->publish;
    catalog->set.arg = settings->arg;
    if (folder_load(&catalog->folder, &catalog->set, err)) {
        publish(catalog);
        return catalog;
    }
    catalog_destroy(catalog);
    return NULL;
}

bool catalog_check(const char *folder, size_t memory_max,
                   void (*report)(void *arg, const char *path, const char *problem), void *arg,
                   struct error *err)
{
    struct catalog *catalog = create_empty(folder, memory_max, err);
    if (catalog == NULL)
        return false;
    bool readable =
        folder_load(&catalog->folder, &catalog->set, err) || folder_broken(&catalog->folder) > 0;
    folder_each_problem(&catalog->folder, report, arg);
    catalog_destroy(catalog);
    return readable;
}
