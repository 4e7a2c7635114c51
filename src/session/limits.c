#include "session/limits.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/table.h"

enum { SECOND_US = 1000 * 1000, KEY_FRONT_BYTES = 4 };

/* What is left of a limit, in millionths: it fills by `limit` each microsecond. */
struct bucket {
    int64_t limit; /* 0: none */
    int64_t left;
};

struct limit_count {
    UT_hash_handle hh;
    bool unhashed;
    unsigned rule;
    uint32_t holders; /* connections */
    int64_t connections;
    int64_t filled_us;
    struct bucket requests;
    struct bucket documents;
    size_t key_bytes;
    char key[]; /* the rule's number, application, NUL, user */
};

struct limits {
    pthread_mutex_t lock;
    struct limit_count *counts;
    int64_t swept_us;
};

struct limits *limits_create(void)
{
    struct limits *limits = memory_zalloc(sizeof *limits);
    if (limits != NULL)
        pthread_mutex_init(&limits->lock, NULL);
    return limits;
}

static struct bucket full_bucket(int64_t limit)
{
    return (struct bucket){.limit = limit, .left = limit * SECOND_US};
}

/* A reload may have changed the limits; what was used stays used. */
static void set_limit(struct bucket *bucket, int64_t limit)
{
    if (bucket->limit == limit)
        return;
    *bucket = full_bucket(limit);
}

static void fill_one(struct bucket *bucket, int64_t passed_us)
{
    int64_t full = bucket->limit * SECOND_US;
    if (bucket->limit == 0)
        return;
    /* after this time it is full in any case, unless it is far below zero */
    int64_t most_us = (full - bucket->left) / bucket->limit + 1;
    bucket->left += bucket->limit * (passed_us < most_us ? passed_us : most_us);
    if (bucket->left > full)
        bucket->left = full;
}

static void fill(struct limit_count *count, int64_t now_us)
{
    int64_t passed_us = now_us - count->filled_us;
    if (passed_us <= 0)
        return;
    count->filled_us = now_us;
    fill_one(&count->requests, passed_us);
    fill_one(&count->documents, passed_us);
}

// NOLINTNEXTLINE(readability-function-size)
static void drop(struct limits *limits, struct limit_count *count)
{
    HASH_DEL(limits->counts, count);
    memory_free(count);
}

void limits_destroy(struct limits *limits)
{
    if (limits == NULL)
        return;
    while (limits->counts != NULL)
        drop(limits, limits->counts);
    pthread_mutex_destroy(&limits->lock);
    memory_free(limits);
}

static bool is_full(const struct bucket *bucket)
{
    return bucket->left == bucket->limit * SECOND_US;
}

/* Drops counts without a connection once they say nothing any more. A client that connects anew
 * for each command finds its count as it was. */
static void sweep(struct limits *limits, int64_t now_us)
{
    struct limit_count *count = NULL;
    struct limit_count *next = NULL;
    if (now_us - limits->swept_us < SECOND_US)
        return;
    limits->swept_us = now_us;
    HASH_ITER(hh, limits->counts, count, next)
    {
        fill(count, now_us);
        if (count->holders == 0 && is_full(&count->requests) && is_full(&count->documents))
            drop(limits, count);
    }
}

/* NULL without memory. */
static struct limit_count *make(const struct config_limit *limit, int64_t now_us)
{
    size_t application = strlen(limit->application) + 1;
    size_t user = strlen(limit->user) + 1;
    size_t key_bytes = KEY_FRONT_BYTES + application + user;
    struct limit_count *count = memory_zalloc(sizeof *count + key_bytes);
    if (count == NULL)
        return NULL;
    count->rule = limit->number;
    count->filled_us = now_us;
    count->key_bytes = key_bytes;
    count->requests = full_bucket(limit->of[CONFIG_LIMIT_REQUESTS]);
    count->documents = full_bucket(limit->of[CONFIG_LIMIT_DOCUMENTS]);
    memcpy(count->key, &limit->number, KEY_FRONT_BYTES);
    memcpy(count->key + KEY_FRONT_BYTES, limit->application, application);
    memcpy(count->key + KEY_FRONT_BYTES + application, limit->user, user);
    return count;
}

/* uthash's macros make it long. */
// NOLINTNEXTLINE(readability-function-size)
static struct limit_count *hold(struct limits *limits, struct limit_count *made)
{
    struct limit_count *count = NULL;
    HASH_FIND(hh, limits->counts, made->key, made->key_bytes, count);
    if (count == NULL) {
        count = made;
        HASH_ADD(hh, limits->counts, key, made->key_bytes, made);
        if (made->unhashed)
            return NULL;
    }
    count->holders++;
    return count;
}

struct limit_count *limits_hold(struct limits *limits, const struct config_limit *limit,
                                int64_t now_us)
{
    struct limit_count *made = make(limit, now_us);
    if (made == NULL)
        return NULL;
    pthread_mutex_lock(&limits->lock);
    sweep(limits, now_us);
    struct limit_count *count = hold(limits, made);
    if (count != NULL) {
        count->connections = limit->of[CONFIG_LIMIT_CONNECTIONS];
        set_limit(&count->requests, limit->of[CONFIG_LIMIT_REQUESTS]);
        set_limit(&count->documents, limit->of[CONFIG_LIMIT_DOCUMENTS]);
    }
    pthread_mutex_unlock(&limits->lock);
    if (count != made)
        memory_free(made);
    return count;
}

void limits_release(struct limits *limits, struct limit_count *count)
{
    pthread_mutex_lock(&limits->lock);
    count->holders--;
    pthread_mutex_unlock(&limits->lock);
}

bool limits_count_documents(struct limits *limits, const struct limits_held *held)
{
    bool counts = false;
    if (held->count == 0)
        return false;
    pthread_mutex_lock(&limits->lock); /* a reload on another thread may change the limits */
    for (size_t i = 0; i < held->count; i++)
        counts = counts || held->of[i]->documents.limit != 0;
    pthread_mutex_unlock(&limits->lock);
    return counts;
}

static struct limits_answer answer(enum config_limit_kind kind, const struct limit_count *count,
                                   int64_t limit)
{
    return (struct limits_answer){.kind = kind, .rule = count->rule, .limit = limit};
}

static struct limits_answer find_exceeded(const struct limits_held *held, uint64_t documents)
{
    for (size_t i = 0; i < held->count; i++) {
        const struct limit_count *count = held->of[i];
        if (count->requests.limit != 0 && count->requests.left < SECOND_US)
            return answer(CONFIG_LIMIT_REQUESTS, count, count->requests.limit);
        if (documents > 0 && count->documents.limit != 0 && count->documents.left <= 0)
            return answer(CONFIG_LIMIT_DOCUMENTS, count, count->documents.limit);
    }
    return (struct limits_answer){.kind = CONFIG_LIMITS};
}

static void use(struct bucket *bucket, uint64_t amount)
{
    if (bucket->limit != 0)
        bucket->left -= (int64_t)amount * SECOND_US;
}

struct limits_answer limits_take(struct limits *limits, const struct limits_held *held,
                                 uint64_t documents, int64_t now_us)
{
    pthread_mutex_lock(&limits->lock);
    for (size_t i = 0; i < held->count; i++)
        fill(held->of[i], now_us);
    struct limits_answer result = find_exceeded(held, documents);
    for (size_t i = 0; result.kind == CONFIG_LIMITS && i < held->count; i++) {
        use(&held->of[i]->requests, 1);
        use(&held->of[i]->documents, documents);
    }
    pthread_mutex_unlock(&limits->lock);
    return result;
}

struct limits_answer limits_look_at_connections(struct limits *limits,
                                                const struct limits_held *held)
{
    struct limits_answer result = {.kind = CONFIG_LIMITS};
    pthread_mutex_lock(&limits->lock);
    for (size_t i = 0; result.kind == CONFIG_LIMITS && i < held->count; i++) {
        const struct limit_count *count = held->of[i];
        if (count->connections != 0 && count->holders > count->connections)
            result = answer(CONFIG_LIMIT_CONNECTIONS, count, count->connections);
    }
    pthread_mutex_unlock(&limits->lock);
    return result;
}
