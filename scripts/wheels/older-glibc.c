/* Functions of newer C libraries that manylinux_2_28 lacks and Debian's static libraries need. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

void arc4random_buf(void *buffer, size_t len);
uint32_t arc4random(void);

void arc4random_buf(void *buffer, size_t len)
{
    uint8_t *next = buffer;
    while (len > 0) {
        ssize_t got = getrandom(next, len, 0);
        if (got > 0) {
            next += got;
            len -= (size_t)got;
        } else if (errno != EINTR) {
            abort(); /* Aborts as the C library does: without random numbers nothing is safe. */
        }
    }
}

uint32_t arc4random(void)
{
    uint32_t value;
    arc4random_buf(&value, sizeof value);
    return value;
}
