#!/usr/bin/env bash
# Builds everything and runs all tests. Installs what is missing first (see setup.sh).
#   scripts/test.sh [STEP…]   steps: lint unit fuzz integration suites docs packaging; all of them when none is named
# Each step goes on to the end also where another failed; the exit status is 1 when any did.
#   lint         format, the rules between rooms, log ids, the configuration document, clang-tidy
#   unit         gcc, clang and sanitized builds; every ctest test of the gcc and the sanitized one
#   fuzz         each libFuzzer target for FUZZ_SECONDS (10) over its corpus
#   integration  pytest over tests/integration and tests/fault, with the sanitized proxy
#   suites       the fast part of PyMongo's and Motor's own suites, direct and through the proxy
#   docs         every block of README.md and docs/*.md is run, or says why not
#   packaging    the Debian package, completions, manifests, dashboard and alert rules
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$project"

step_lint() {
  local failed=0 check
  git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror || failed=1
  for check in scripts/check-*.py; do
    [ ! -e "$check" ] || "$venv/bin/python" "$check" || failed=1
  done
  scripts/plot-benchmarks.py --check || failed=1
  build_preset release mongosluice && scripts/check-configuration-doc.sh build/release || failed=1
  build_preset clang || failed=1
  scripts/run-clang-tidy.py build/clang src || failed=1
  return $failed
}

step_unit() {
  local failed=0
  build_preset release && build_preset clang && build_preset debug-sanitized || return 1
  ctest --test-dir build/release --output-on-failure -j "$(nproc)" || failed=1
  ctest --test-dir build/debug-sanitized --output-on-failure -j "$(nproc)" || failed=1
  return $failed
}

step_fuzz() {
  local failed=0 target name
  build_preset fuzz || return 1
  for target in build/fuzz/tests/fuzz/fuzz_*; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    name=${target##*/}
    mkdir -p "$cache/fuzz/$name"
    run_logged "$name" "$target" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 \
      -artifact_prefix="$cache/fuzz/$name-" "$cache/fuzz/$name" "tests/fuzz/corpus/${name#fuzz_}" || failed=1
  done
  return $failed
}

step_integration() {
  build_preset debug-sanitized mongosluice || return 1
  MONGOSLUICE_BINARY=$project/build/debug-sanitized/src/main/mongosluice \
    "$venv/bin/python" -m pytest tests -q -p no:cacheprovider
}

step_suites() {
  scripts/driver-suites.sh --fast
}

step_docs() {
  build_preset release mongosluice || return 1
  "$venv/bin/python" -m pytest tests/docs/test_runner.py tests/docs/run_docs.py -q -p no:cacheprovider
}

step_packaging() {
  build_preset package package || return 1
  "$venv/bin/python" -m pytest tests/packaging -q -p no:cacheprovider
}

[ $# -gt 0 ] || set -- lint unit fuzz integration suites docs packaging
for step; do
  declare -F "step_$step" >/dev/null || { sed -n '2,12s/^# \?//p' "$0"; die "no such step: $step"; }
done
scripts/setup.sh build python checks beanie1 suites packaging
passed=0 failed=() summary=()
for step; do
  say "--- $step"
  started=$SECONDS
  # in a shell of its own, so that a failing step does not end the others
  verdict=passed
  if ("step_$step"); then passed=$((passed + 1)); else failed+=("$step") verdict=failed; fi
  summary+=("$step $verdict after $((SECONDS - started)) s")
  say "--- ${summary[-1]}"
done
say "--- all of it: $SECONDS s" "${summary[@]/#/; }"
say "steps: $passed passed, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}"
[ ${#failed[@]} -eq 0 ]
