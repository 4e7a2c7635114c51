#include "base/locked_memory.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

/* Sixteen blocks. On systems with larger pages, a part of one. */
enum { CHUNK_BYTES = 4096 };

/* Free blocks form a list through their first bytes. Chunks are never unmapped: a process has as
 * many as it once had keys. */
struct free_block {
    struct free_block *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct free_block *free_blocks = NULL;
static size_t used = 0;
static int fault = 0;

static bool add_chunk(void)
{
    void *probe = memory_alloc(1); /* so that tests can make this allocation fail, too */
    if (probe == NULL)
        return false;
    memory_free(probe);
    char *chunk =
        mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        return false;
    if (mlock(chunk, CHUNK_BYTES) != 0 && fault == 0)
        fault = errno;
    (void)madvise(chunk, CHUNK_BYTES, MADV_DONTDUMP);
    for (size_t at = 0; at < CHUNK_BYTES; at += LOCKED_BLOCK_BYTES) {
        struct free_block *block = (struct free_block *)(void *)(chunk + at);
        block->next = free_blocks;
        free_blocks = block;
    }
    return true;
}

void *locked_memory_alloc(void)
{
    pthread_mutex_lock(&lock);
    struct free_block *block = NULL;
    if (free_blocks != NULL || add_chunk()) {
        block = free_blocks;
        free_blocks = block->next;
        block->next = NULL;
        used++;
    }
    pthread_mutex_unlock(&lock);
    return block;
}

void locked_memory_free(void *block)
{
    if (block == NULL)
        return;
    struct free_block *freed = block;
    explicit_bzero(block, LOCKED_BLOCK_BYTES);
    pthread_mutex_lock(&lock);
    freed->next = free_blocks;
    free_blocks = freed;
    used--;
    pthread_mutex_unlock(&lock);
}

int locked_memory_fault(void)
{
    pthread_mutex_lock(&lock);
    int is = fault;
    pthread_mutex_unlock(&lock);
    return is;
}

size_t locked_memory_used(void)
{
    pthread_mutex_lock(&lock);
    size_t is = used;
    pthread_mutex_unlock(&lock);
    return is;
}
