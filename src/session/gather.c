#include "session/gather.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "session/session_worker.h"

struct gathering;

/* The rows of one worker. */
struct gathering_part {
    struct gathering *gathering;
    struct session_worker *worker;
    void *rows;
    size_t count;
    bool answered;
};

/* Shared by the asking thread and the workers. The last one frees it, because the asking thread may
 * have given up before a worker answers. */
struct gathering {
    pthread_mutex_t lock;
    pthread_cond_t answer;
    gather_fill *fill;
    size_t row_bytes;
    size_t limit;
    uint64_t after;
    unsigned references;
    unsigned parts_left;
    unsigned part_count;
    struct gathering_part parts[];
};

static void release(struct gathering *gathering)
{
    pthread_mutex_lock(&gathering->lock);
    bool last = --gathering->references == 0;
    pthread_mutex_unlock(&gathering->lock);
    if (!last)
        return;
    for (unsigned i = 0; i < gathering->part_count; i++)
        memory_free(gathering->parts[i].rows);
    pthread_mutex_destroy(&gathering->lock);
    pthread_cond_destroy(&gathering->answer);
    memory_free(gathering);
}

static struct gathering *gathering_new(const struct gather_question *question)
{
    struct gathering *gathering =
        memory_zalloc(sizeof *gathering + question->worker_count * sizeof(struct gathering_part));
    if (gathering == NULL)
        return NULL;
    pthread_mutex_init(&gathering->lock, NULL);
    clock_init_condition(&gathering->answer);
    gathering->fill = question->fill;
    gathering->row_bytes = question->row_bytes;
    gathering->limit = question->limit;
    gathering->after = question->after;
    gathering->references = 1;
    gathering->part_count = question->worker_count;
    for (unsigned i = 0; i < question->worker_count; i++) {
        struct gathering_part *part = &gathering->parts[i];
        part->gathering = gathering;
        part->worker = question->workers[i];
        part->rows = memory_zalloc(question->limit * question->row_bytes);
        if (part->rows == NULL) {
            release(gathering);
            return NULL;
        }
    }
    return gathering;
}

/* On the worker's thread. */
static void fill_part(void *context, void *arg)
{
    struct gathering_part *part = arg;
    struct gathering *gathering = part->gathering;
    pthread_mutex_lock(&gathering->lock);
    bool wanted =
        gathering->references > gathering->parts_left; /* the asking thread still waits for it */
    pthread_mutex_unlock(&gathering->lock);
    if (wanted)
        part->count = gathering->fill(context, gathering->after, part->rows, gathering->limit);
    pthread_mutex_lock(&gathering->lock);
    part->answered = true;
    gathering->parts_left--;
    pthread_cond_signal(&gathering->answer);
    pthread_mutex_unlock(&gathering->lock);
    release(gathering);
}

static void ask(struct gathering *gathering)
{
    for (unsigned i = 0; i < gathering->part_count; i++) {
        pthread_mutex_lock(&gathering->lock);
        gathering->references++;
        gathering->parts_left++;
        pthread_mutex_unlock(&gathering->lock);
        if (worker_post(gathering->parts[i].worker->worker, fill_part, &gathering->parts[i]))
            continue;
        pthread_mutex_lock(&gathering->lock);
        gathering->references--;
        gathering->parts_left--;
        pthread_mutex_unlock(&gathering->lock);
    }
}

/* With the lock held. */
static void wait_for_parts(struct gathering *gathering, unsigned timeout_ms)
{
    struct timespec until = clock_deadline(timeout_ms);
    int failure = 0;
    while (gathering->parts_left > 0 && failure == 0)
        failure = pthread_cond_timedwait(&gathering->answer, &gathering->lock, &until);
}

/* With the lock held. */
static bool collect(const struct gathering *gathering, struct gathered *out)
{
    size_t sum = 0;
    *out = (struct gathered){.complete = true};
    for (unsigned i = 0; i < gathering->part_count; i++) {
        const struct gathering_part *part = &gathering->parts[i];
        out->complete = out->complete && part->answered;
        sum += part->answered ? part->count : 0;
    }
    out->rows = memory_array(sum == 0 ? 1 : sum, gathering->row_bytes);
    if (out->rows == NULL)
        return false;
    for (unsigned i = 0; i < gathering->part_count; i++) {
        const struct gathering_part *part = &gathering->parts[i];
        if (!part->answered || part->count == 0)
            continue;
        memcpy((char *)out->rows + out->count * gathering->row_bytes, part->rows,
               part->count * gathering->row_bytes);
        out->count += part->count;
    }
    return true;
}

bool gather(const struct gather_question *question, struct gathered *out)
{
    struct gathering *gathering = gathering_new(question);
    if (gathering == NULL)
        return false;
    ask(gathering);
    pthread_mutex_lock(&gathering->lock);
    wait_for_parts(gathering, question->timeout_ms);
    bool ok = collect(gathering, out);
    pthread_mutex_unlock(&gathering->lock);
    release(gathering);
    return ok;
}
