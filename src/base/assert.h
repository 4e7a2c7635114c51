/* An assertion that stays in release builds. It guards promises whose breach would lose or double
 * data (a waiter answered twice). It logs the place and aborts. */
#ifndef SLUICE_BASE_ASSERT_H
#define SLUICE_BASE_ASSERT_H

#define sluice_assert(condition)                                                                   \
    ((condition) ? (void)0 : assert_fail(#condition, __FILE__, __LINE__))

_Noreturn void assert_fail(const char *condition, const char *file, int line);

#endif
