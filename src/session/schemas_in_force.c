#include "session/schemas_in_force.h"

void schemas_in_force_init(struct schemas_in_force *in_force)
{
    pthread_mutex_init(&in_force->lock, NULL);
    in_force->registry = NULL;
    atomic_init(&in_force->version, 0);
}

void schemas_in_force_release(struct schemas_in_force *in_force)
{
    registry_release(in_force->registry);
    pthread_mutex_destroy(&in_force->lock);
}

void schemas_in_force_publish(struct schemas_in_force *in_force, struct registry *registry)
{
    struct registry *next = registry_retain(registry);
    pthread_mutex_lock(&in_force->lock);
    struct registry *before = in_force->registry;
    in_force->registry = next;
    atomic_fetch_add_explicit(&in_force->version, 1, memory_order_release);
    pthread_mutex_unlock(&in_force->lock);
    registry_release(before);
}

bool schemas_in_force_take(struct schemas_in_force *in_force, struct schemas_held *held)
{
    if (atomic_load_explicit(&in_force->version, memory_order_acquire) == held->version)
        return false;
    struct registry *before = held->registry;
    pthread_mutex_lock(&in_force->lock);
    held->registry = registry_retain(in_force->registry);
    held->version = atomic_load_explicit(&in_force->version, memory_order_relaxed);
    pthread_mutex_unlock(&in_force->lock);
    registry_release(before);
    return true;
}
