/* What must hold or the process ends: an assertion that stays in release builds, for promises whose
 * breach would lose or double somebody's data (a waiter answered twice). Logs the place, aborts. */
#ifndef SLUICE_BASE_ASSERT_H
#define SLUICE_BASE_ASSERT_H

#define sluice_assert(condition)                                                                   \
    ((condition) ? (void)0 : assert_fail(#condition, __FILE__, __LINE__))

_Noreturn void assert_fail(const char *condition, const char *file, int line);

#endif
