#include "catalog/current_set.h"

#include "base/log.h"
#include "base/memory.h"

bool current_set_init(struct current_set *set, size_t memory_max)
{
    *set = (struct current_set){.memory_max = memory_max, .registry = registry_new()};
    pthread_mutex_init(&set->lock, NULL);
    return set->registry != NULL;
}

void current_set_release(struct current_set *set)
{
    registry_release(set->draft);
    registry_release(set->registry);
    memory_free(set->problems);
    pthread_mutex_destroy(&set->lock);
}

struct registry *current_set_draft(struct current_set *set)
{
    if (set->draft == NULL)
        set->draft = registry_copy(set->registry);
    return set->draft;
}

const struct registry *current_set_latest(const struct current_set *set)
{
    return set->draft != NULL ? set->draft : set->registry;
}

bool current_set_fits(const struct current_set *set, const struct schema_file *file,
                      enum registry_origin origin, struct error *err)
{
    const struct registry *latest = current_set_latest(set);
    size_t bytes = schema_file_bytes(file);
    size_t others = registry_bytes(latest) - registry_bytes_of(latest, file->ns, origin);
    if (others <= set->memory_max && bytes <= set->memory_max - others)
        return true;
    return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT,
                     "compiled, the schema needs %zu bytes of memory and the others %zu, of %zu "
                     "for all (option schemas_memory_max)",
                     bytes, others, set->memory_max);
}

void current_set_publish(struct current_set *set, size_t broken, const char *problems)
{
    struct registry *old = NULL;
    char *copy = problems == NULL ? NULL : memory_copy_string(problems);
    bool changed = set->draft != NULL;
    pthread_mutex_lock(&set->lock);
    set->broken = broken;
    memory_free(set->problems);
    set->problems = copy;
    if (changed) {
        old = set->registry;
        set->registry = set->draft;
    }
    pthread_mutex_unlock(&set->lock);
    if (!changed)
        return;
    set->draft = NULL;
    registry_release(old);
    if (set->publish != NULL)
        set->publish(set->arg, set->registry);
    LOG_I(LOG_SCHEMA, 3000, "schemas", "Enforced schemas",
          LOG_INT("namespaces", (int64_t)registry_size(set->registry)),
          LOG_INT("brokenFiles", (int64_t)broken));
}

struct registry *current_set_registry(struct current_set *set)
{
    pthread_mutex_lock(&set->lock);
    struct registry *registry = registry_retain(set->registry);
    pthread_mutex_unlock(&set->lock);
    return registry;
}

char *current_set_problems(struct current_set *set)
{
    pthread_mutex_lock(&set->lock);
    char *copy = set->problems == NULL ? NULL : memory_copy_string(set->problems);
    pthread_mutex_unlock(&set->lock);
    return copy;
}

size_t current_set_broken(struct current_set *set)
{
    pthread_mutex_lock(&set->lock);
    size_t broken = set->broken;
    pthread_mutex_unlock(&set->lock);
    return broken;
}
