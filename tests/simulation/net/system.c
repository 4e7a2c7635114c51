/* Calls of the C library and of OpenSSL that must not leave the simulated process. */
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

int __real_RAND_bytes(unsigned char *out, int len);
int __wrap_RAND_bytes(unsigned char *out, int len);
int __wrap_getentropy(void *out, size_t len);
int __wrap_gethostname(char *out, size_t len);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);

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
