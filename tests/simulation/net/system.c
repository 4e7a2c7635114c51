/* Calls of the C library and of OpenSSL that must not leave the simulated process. */
#include <errno.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/figures.h"
#include "process.h"

int __real_RAND_bytes(unsigned char *out, int len);
int __wrap_RAND_bytes(unsigned char *out, int len);
int __wrap_getentropy(void *out, size_t len);
int __wrap_gethostname(char *out, size_t len);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                                  const struct timespec *until);
int __wrap_kill(pid_t process, int signal);
pid_t __wrap_getpid(void);
void __wrap_figures_process(struct process_figures *out);

static void fill(uint8_t *out, size_t len)
{
    struct stream fixed = stream_make(0, "process", 0);
    struct stream *stream = the_process != NULL ? &the_process->random : &fixed;
    for (; len > 0; out++, len--)
        *out = (uint8_t)(stream_next(stream) >> 56);
}

int __wrap_RAND_bytes(unsigned char *out, int len)
{
    fill(out, (size_t)len);
    return 1;
}

int __wrap_getentropy(void *out, size_t len)
{
    fill(out, len);
    return 0;
}

int __wrap_gethostname(char *out, size_t len)
{
    (void)snprintf(out, len, "p");
    return 0;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    (void)thread;
    (void)attr;
    (void)run;
    (void)arg;
    (void)fputs("simulate: the proxy starts a thread that is not simulated\n", stderr);
    abort();
}

/* The admin thread waits for the workers' answers. Sometimes they do not come in time. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                                  const struct timespec *until)
{
    (void)condition;
    (void)until;
    if (stream_chance(&the_process->timing, 100))
        return ETIMEDOUT;
    pthread_mutex_unlock(lock);
    loops_serve_jobs();
    pthread_mutex_lock(lock);
    return 0;
}

int __wrap_kill(pid_t process, int signal)
{
    (void)process;
    (void)signal; /* the product sends itself TERM only */
    the_process->told_to_end(the_process->told_to_end_arg);
    return 0;
}

/* Pages name it; it must be the same in each run. So must the figures of the real process. */
pid_t __wrap_getpid(void)
{
    return 4711;
}

void __wrap_figures_process(struct process_figures *out)
{
    *out = (struct process_figures){.resident_bytes = (uint64_t)memory_live_blocks() * 64,
                                    .descriptors = process_open_count(),
                                    .descriptors_max = 1024};
}
