#!/usr/bin/env bash
# Runs analysis tools that take longer than a test run.
#   scripts/analyse.sh [STEP…]   steps: tidy scan-build cppcheck valgrind tsan; default: all
#   tidy        clang-tidy over all of src
#   scan-build  clang's static analyzer over a whole build
#   cppcheck    warnings, performance and portability
#   valgrind    the unit tests of the release build under memcheck
#   tsan        the proxy with ThreadSanitizer under tests/integration, tests/fault and tests/attack
# All steps run even if one fails. The exit status is 1 if any step failed. Besides the packages that setup.sh
# installs, this needs clang-tools, cppcheck, valgrind (Debian packages).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$project"

need() {
  command -v "$1" >/dev/null || die "$1 is not installed: apt-get install $2"
}

step_tidy() {
  build_preset clang && scripts/run-clang-tidy.py build/clang src
}

step_scan-build() {
  need scan-build clang-tools
  local build=$cache/scan-build
  rm -rf "$build"
  run_logged configure-scan-build scan-build cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DBUILD_TESTING=OFF
  run_logged scan-build scan-build --status-bugs -o "$cache/scan-build-report" \
    -enable-checker nullability.NullableDereferenced -enable-checker optin.portability.UnixAPI \
    ninja -C "$build"
}

# cppcheck 2.10 does not know __VA_OPT__, does not see that a failed assertion in a conditional expression never
# returns, and reports unknown macros as errors. So it reads a copy of the sources without these constructs.
step_cppcheck() {
  need cppcheck cppcheck
  local copy=$cache/cppcheck
  rm -rf "$copy" && mkdir -p "$copy"
  cp -r src include "$copy" && cp /usr/include/uthash.h /usr/include/utlist.h "$copy/include"
  sed -i 's/__VA_ARGS__ __VA_OPT__(, )//' "$copy/src/base/log.h"
  sed -i 's/^#define sluice_assert(.*/#define sluice_assert(condition) do { if (!(condition)) abort(); } while (0)/; /^    ((condition)/d' \
    "$copy/src/base/assert.h"
  (cd "$copy" && cppcheck --enable=warning,performance,portability --std=c11 --inline-suppr --quiet \
    --error-exitcode=1 --suppress='*:include/*' \
    -j "$(nproc)" -I src -I include -D_GNU_SOURCE -D__GNUC__ -D__x86_64__ src)
}

step_valgrind() {
  need valgrind valgrind
  local failed=0 test log
  build_preset release
  for test in build/release/tests/unit/*/unit_*; do
    [ -x "$test" ] && [ -f "$test" ] || continue
    log=$logs/valgrind-${test##*/}.log
    timeout 900 valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect \
      "$test" >"$log" 2>&1 </dev/null && continue
    # PCRE2's compiled patterns read whole vectors, also past the end of a subject. These errors are PCRE2's: all
    # their frames lie in code without a symbol.
    if grep -q 'FAILED' "$log" || grep -E '^==[0-9]+== +(at|by) 0x' "$log" | grep -qv ': ???' ||
      ! grep -qE '^==[0-9]+== +at 0x' "$log"; then
      tail -n 40 "$log" >&2
      failed=1
    fi
  done
  return $failed
}

# libmongoc and libbson are built without the sanitizer, so accesses between their monitoring threads are ignored.
# Their locks still count. libfaketime does not work together with the sanitizer.
step_tsan() {
  build_preset thread-sanitized mongosluice
  MONGOSLUICE_BINARY=$project/build/thread-sanitized/src/main/mongosluice SLUICE_TEST_PATIENCE=60 \
    TSAN_OPTIONS="halt_on_error=1:exitcode=66:ignore_noninstrumented_modules=1" \
    MONGOC_DISABLE_SHM=1 "$venv/bin/python" -m pytest tests/integration tests/fault tests/attack -q -p no:cacheprovider --timeout 300 \
    --ignore tests/integration/test_dashboard.py -k 'not test_clock_is_set'
}

[ $# -gt 0 ] || set -- tidy scan-build cppcheck valgrind tsan
failed=()
for step; do
  declare -F "step_$step" >/dev/null || { sed -n '2,10s/^# \?//p' "$0"; die "no such step: $step"; }
  say "--- $step"
  if ! ("step_$step"); then failed+=("$step"); fi
done
say "${#failed[@]} of $# steps failed${failed[*]:+: ${failed[*]}}"
[ ${#failed[@]} -eq 0 ]
