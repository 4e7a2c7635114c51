#include "catalog/suspensions.h"

#include <string.h>

#include "base/memory.h"

enum { SCOPE_NAMES = 2 };

struct suspension {
    char *names[SCOPE_NAMES]; /* owned, or NULL */
    uint32_t number;
    uint64_t ended;     /* the event; 0: the command is still running */
    int64_t settled_ms; /* a reading that starts before this time may be too early */
};

static void suspension_release(struct suspension *one)
{
    for (size_t i = 0; i < SCOPE_NAMES; i++)
        memory_free(one->names[i]);
}

void suspensions_release(struct suspensions *list)
{
    for (size_t i = 0; i < list->count; i++)
        suspension_release(&list->of[i]);
    memory_free(list->of);
    *list = (struct suspensions){0};
}

static bool make_room(struct suspensions *list)
{
    if (list->count < list->room)
        return true;
    size_t room = list->room == 0 ? 8 : list->room * 2;
    struct suspension *bigger = memory_resize(list->of, room * sizeof *bigger);
    if (bigger == NULL)
        return false;
    list->of = bigger;
    list->room = room;
    return true;
}

uint32_t suspensions_begin(struct suspensions *list, const struct suspension_scope *scope)
{
    list->numbers += list->numbers == UINT32_MAX ? 2 : 1; /* never 0 */
    struct suspension one = {.number = list->numbers};
    list->events++;
    bool ok = make_room(list);
    for (size_t i = 0; i < SCOPE_NAMES && scope->names[i] != NULL; i++) {
        one.names[i] = memory_copy_string(scope->names[i]);
        ok = ok && one.names[i] != NULL;
    }
    if (!ok) {
        suspension_release(&one);
        return 0;
    }
    list->of[list->count++] = one;
    return one.number;
}

static bool waits(const struct suspension *one)
{
    return one->ended != 0 && one->names[0] != NULL;
}

static size_t count_waiting(const struct suspensions *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += waits(&list->of[i]);
    return count;
}

static void cover_all(struct suspension *one)
{
    one->names[0][0] = 0;
    for (size_t i = 1; i < SCOPE_NAMES; i++) {
        memory_free(one->names[i]);
        one->names[i] = NULL;
    }
}

/* Replaces all that wait for a reading with one that covers everything. */
static void join_waiting(struct suspensions *list)
{
    struct suspension *all = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct suspension one = list->of[i];
        if (!waits(&one) || all == NULL) {
            list->of[kept++] = one;
            if (waits(&one)) {
                all = &list->of[kept - 1];
                cover_all(all);
            }
            continue;
        }
        all->ended = one.ended > all->ended ? one.ended : all->ended;
        all->settled_ms = one.settled_ms > all->settled_ms ? one.settled_ms : all->settled_ms;
        suspension_release(&one);
    }
    list->count = kept;
}

static struct suspension *find_running(const struct suspensions *list, uint32_t number)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->of[i].number == number && list->of[i].ended == 0)
            return &list->of[i];
    return NULL;
}

bool suspensions_end(struct suspensions *list, uint32_t number, bool lost, int64_t now_ms)
{
    struct suspension *one = find_running(list, number);
    if (one == NULL)
        return false;
    one->ended = ++list->events;
    one->settled_ms = lost ? now_ms + SUSPENSION_LOST_MS : now_ms;
    if (count_waiting(list) > SUSPENSIONS_WAITING_MAX)
        join_waiting(list);
    return true;
}

void suspensions_reading_begins(struct suspensions *list, int64_t now_ms)
{
    list->reading_since = ++list->events;
    list->reading_since_ms = now_ms;
}

void suspensions_reading_ends(struct suspensions *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct suspension *one = &list->of[i];
        if (one->ended != 0 && one->ended < list->reading_since &&
            one->settled_ms <= list->reading_since_ms)
            suspension_release(one);
        else
            list->of[kept++] = *one;
    }
    list->count = kept;
}

static bool name_covers(const char *name, const char *ns)
{
    size_t len = strlen(name);
    if (len == 0 || name[len - 1] == '.')
        return strncmp(name, ns, len) == 0;
    return strcmp(name, ns) == 0;
}

bool suspension_scope_covers(const struct suspension_scope *scope, const char *ns)
{
    for (size_t i = 0; i < SCOPE_NAMES && scope->names[i] != NULL; i++)
        if (name_covers(scope->names[i], ns))
            return true;
    return false;
}

bool suspensions_cover(const struct suspensions *list, const char *ns)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct suspension *one = &list->of[i];
        if (suspension_scope_covers(&(struct suspension_scope){{one->names[0], one->names[1]}}, ns))
            return true;
    }
    return false;
}
