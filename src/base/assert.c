#include "base/assert.h"

#include <stdlib.h>

#include "base/log.h"

_Noreturn void assert_fail(const char *condition, const char *file, int line)
{
    LOG_F(LOG_CONTROL, 1090, "assert", "An internal check failed; the process aborts",
          LOG_STR("condition", condition), LOG_STR("file", file), LOG_INT("line", line));
    abort();
}
