#!/usr/bin/env bash
# Builds everything and runs all tests. Installs what is missing first (see setup.sh).
#   scripts/test.sh [STEP…]   all steps when none is named:
# Each step goes on to the end also where another failed; the exit status is 1 when any did.
#   lint         format, the rules between rooms, log ids, the configuration document, clang-tidy
#   unit         gcc, clang and sanitized builds; every ctest test of the gcc and the sanitized one
#   fuzz         each libFuzzer target for FUZZ_SECONDS (10) over its corpus
#   integration  pytest over tests/integration, tests/fault and (a minute of it) tests/history, with the
#                sanitized proxy
#   python       the companion package: built with gcc and clang without a warning, then its tests in both
#                environments (Beanie 2 with MongoEngine, Beanie 1.30), with the extension and without
#   bench        each benchmark program in small: that it runs (figures are for scripts/bench.sh)
#   suites       the fast part of PyMongo's and Motor's own suites, direct and through the proxy (what is about
#                inserts through one that merges)
#   docs         every block of README.md and docs/*.md is run, or says why not
#   packaging    the Debian package, completions, manifests, dashboard and alert rules
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$project"

# With real servers and drivers on a busy machine a time-out somewhere is no defect yet: a test that
# fails is run once more, and is told of ("R", "rerun") also when it passes then.
again=(--reruns 1)

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
  scripts/fuzz.sh --seconds "${FUZZ_SECONDS:-10}"
}

step_integration() {
  build_preset debug-sanitized mongosluice || return 1
  MONGOSLUICE_BINARY=$project/build/debug-sanitized/src/main/mongosluice \
    "$venv/bin/python" -m pytest tests -q -p no:cacheprovider "${again[@]}"
}

# The extension as warnings see it, and for each environment beside the sources, where the tests find it.
build_extension() {
  local python=$1 compiler include suffix
  include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  suffix=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
  for compiler in clang gcc; do
    "$compiler" -std=c17 -O3 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden "-I$include" \
      python/native/*.c -o "$cache/python/mongosluice/_native$suffix" || return
  done
}

# Without the extension everything goes the pure way, so it is tested as well: the same tests.
step_python() {
  local failed=0 python
  build_preset release mongosluice sluice_validator || return 1
  rm -rf "$cache/python" && mkdir -p "$cache/python" && cp -r python/src/mongosluice "$cache/python/"
  rm -f "$cache/python/mongosluice/"*.so
  PYTHONPATH=$cache/python MONGOSLUICE_PURE=1 run_pytest_python "$venv/bin/python" || failed=1
  for python in "$venv/bin/python" "$venv_beanie1/bin/python"; do
    build_extension "$python" || return 1
    PYTHONPATH=$cache/python run_pytest_python "$python" || failed=1
  done
  return $failed
}

run_pytest_python() {
  "$1" -m pytest python/tests -c python/pyproject.toml -q -p no:cacheprovider "${again[@]}" \
    -W ignore::DeprecationWarning
}

step_bench() {
  build_preset release || return 1
  "$venv/bin/python" -m pytest tests/bench -q -p no:cacheprovider
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

[ $# -gt 0 ] || set -- lint unit fuzz integration python bench suites docs packaging
for step; do
  declare -F "step_$step" >/dev/null || { sed -n '2,17s/^# \?//p' "$0"; die "no such step: $step"; }
done
scripts/setup.sh build python checks beanie1 suites packaging browser
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
