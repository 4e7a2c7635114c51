/* It leaks: the sanitizer has to say so. */
#include <stdlib.h>

enum { LEAKED_BYTES = 13 };

int main(void)
{
    void *volatile block = malloc(LEAKED_BYTES);
    block = NULL;
    return block != NULL;
}
