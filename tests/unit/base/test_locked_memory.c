/* Memory for keys: as the kernel describes the pages (/proc/self/smaps). */
#include "base/locked_memory.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

/* The address sanitizer replaces mlock by a function that does nothing. */
#ifdef __SANITIZE_ADDRESS__
enum { LOCKS = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { LOCKS = 0 };
#else
enum { LOCKS = 1 };
#endif
#else
enum { LOCKS = 1 };
#endif

static bool is_zero(const uint8_t *block)
{
    for (size_t i = 0; i < LOCKED_BLOCK_BYTES; i++)
        if (block[i] != 0)
            return false;
    return true;
}

/* The VmFlags of the mapping with this address. */
static void read_flags(const void *address, char out[256])
{
    char line[512];
    bool inside = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    assert_non_null(file);
    out[0] = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long begin = 0;
        unsigned long end = 0;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            inside = (uintptr_t)address >= begin && (uintptr_t)address < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            (void)snprintf(out, 256, "%.250s", line);
    }
    (void)fclose(file);
}

static void test_blocks_are_zero_and_wiped(void **state)
{
    (void)state;
    uint8_t *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = locked_memory_alloc();
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        assert_true(is_zero(blocks[i]));
        memset(blocks[i], 0xA5, LOCKED_BLOCK_BYTES);
    }
    assert_int_equal(locked_memory_used(), 40);
    for (size_t i = 0; i < 40; i++) {
        locked_memory_free(blocks[i]);
        for (size_t at = sizeof(void *); at < LOCKED_BLOCK_BYTES; at++)
            assert_int_equal(blocks[i][at], 0);
    }
    assert_int_equal(locked_memory_used(), 0);
    locked_memory_free(NULL);
    uint8_t *again = locked_memory_alloc();
    assert_true(is_zero(again));
    locked_memory_free(again);
}

static void test_pages_are_locked_and_not_dumped(void **state)
{
    (void)state;
    char flags[256];
    void *block = locked_memory_alloc();
    read_flags(block, flags);
    assert_non_null(strstr(flags, " dd"));
    if (LOCKS && locked_memory_fault() == 0)
        assert_non_null(strstr(flags, " lo"));
    locked_memory_free(block);
}

/* In a process of its own, without root's right to lock more. The exit code names the failing step.
 */
static int go_beyond_the_limit(void)
{
    static const struct rlimit nothing = {0};
    void *blocks[64];
    char flags[256];
    if (setrlimit(RLIMIT_MEMLOCK, &nothing) != 0 || (geteuid() == 0 && setuid(65534) != 0))
        return 2;
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = locked_memory_alloc();
        if (blocks[i] == NULL)
            return 3;
    }
    read_flags(blocks[63], flags);
    return LOCKS && locked_memory_fault() == 0 ? 4 : strstr(flags, " dd") == NULL ? 5 : 0;
}

static void test_beyond_the_limit_blocks_are_given_and_the_fault_is_told(void **state)
{
    (void)state;
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(go_beyond_the_limit());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_without_memory(void **state)
{
    (void)state;
    void *blocks[512];
    size_t count = 0;
    memory_fail_after(1);
    while (count < 512 && (blocks[count] = locked_memory_alloc()) != NULL)
        count++;
    memory_fail_never();
    assert_true(count < 512);
    while (count > 0)
        locked_memory_free(blocks[--count]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_zero_and_wiped),
        cmocka_unit_test(test_pages_are_locked_and_not_dumped),
        cmocka_unit_test(test_beyond_the_limit_blocks_are_given_and_the_fault_is_told),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
