#!/usr/bin/env bash
# Builds everything and runs the tests. Installs what is missing first (see setup.sh).
#   scripts/test.sh [--long] [STEP…]   default: all steps; without --long all but fuzz and packaging
# The short run, without --long, takes minutes and tests each part of the product. --long runs all tests; CI does so.
# All steps run even if one fails. The exit status is 1 if any step failed. The last lines say how long each step took.
#   lint         format, the rules between rooms, log ids, the configuration document, types of the companion
#                package, ruff over all Python
#                --long: the build with clang, clang-tidy
#   unit         the ctest tests of the sanitized build
#                --long: those with the label "long" too, and every ctest test of the gcc build
#   fuzz         some libFuzzer targets (--long: all) for 20,000 inputs or FUZZ_SECONDS (2; --long: 15), from their corpus
#   model        spin checks the models of tests/model exhaustively; the short run checks the guarantees, --long each gap
#                and each planted fault too
#   simulation   ten seconds of fresh histories of the whole proxy, and all that ever failed (docs/simulation.md)
#                --long: a minute of them, and twenty seconds with the sanitizers
#   integration  pytest over tests/integration, tests/fault, tests/attack, tests/crossing and tests/history
#                --long: with the sanitized proxy, and the tests with the mark "long" too: random commands and plays, a
#                minute of tests/history, the dashboard in a browser
#   python       the companion package: compiled without warnings by gcc and clang, sdist and wheel built into
#                python/dist, then its tests with what the wheel installs
#                --long: also with Beanie 1.30, and without the extension; more examples and generated models
#   bench        a short run of benchmark programs (--long: of each; scripts/bench.sh takes the figures)
#   suites       two modules of PyMongo's and Motor's own suites, direct and through the proxy
#                --long: their fast part (the insert tests through a proxy that merges, some also through shared
#                connections)
#   docs         runs every block of README.md and docs/*.md, or prints why it does not; renders the site, with every
#                link and anchor checked
#   packaging    the Debian package, the RPM's recipe, the parts of a release that take seconds, completions, manifests,
#                the chart, dashboard and alert rules
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$project"

long=0 marked=(-m "not long") steps=()
for word; do
  case $word in
    --long) long=1 marked=() ;;
    *) steps+=("$word") ;;
  esac
done

# Most tests wait for time to pass, so more of them run at once than there are cores. Each process of pytest starts
# servers of its own.
at_once=(-n "$(($(nproc) * 4))" --dist worksteal)

step_lint() {
  local failed=0 check
  git ls-files '*.c' '*.h' | xargs -n 50 -P "$(nproc)" clang-format --dry-run -Werror || failed=1
  for check in scripts/check-*.py; do
    [ ! -e "$check" ] || "$venv/bin/python" "$check" || failed=1
  done
  scripts/plot-benchmarks.py --check || failed=1
  build_preset release mongosluice && scripts/check-configuration-doc.sh build/release || failed=1
  (cd python && "$venv/bin/python" -m mypy --cache-dir "$cache/mypy") || failed=1
  "$venv/bin/ruff" check -q --cache-dir "$cache/ruff" . || failed=1
  [ $long = 0 ] || check_with_clang || failed=1
  return $failed
}

check_with_clang() {
  local failed=0
  build_preset clang || failed=1
  scripts/run-clang-tidy.py build/clang src || failed=1
  mkdir -p "$cache/native"
  extension_commands >"$cache/native/compile_commands.json" || failed=1
  scripts/run-clang-tidy.py "$cache/native" python/native || failed=1
  return $failed
}

# Writes the extension's compile_commands.json for clang-tidy. Python's own headers are excluded from its judgement.
extension_commands() {
  "$venv/bin/python" - <<'END'
import json, pathlib, sysconfig
flags = f"-std=c17 -O3 -Wall -Wextra -isystem {sysconfig.get_path('include')}"
print(json.dumps([{"directory": str(file.parent), "file": str(file), "command": f"clang {flags} -c {file}"}
                  for file in pathlib.Path("python/native").resolve().glob("*.c")]))
END
}

step_unit() {
  local failed=0 left_out=(-LE long)
  if [ $long = 1 ]; then
    left_out=()
    build_preset release || return 1
    ctest --test-dir build/release --output-on-failure -j "$(($(nproc) * 2))" || failed=1
  fi
  build_preset debug-sanitized || return 1
  ctest --test-dir build/debug-sanitized --output-on-failure -j "$(($(nproc) * 2))" "${left_out[@]}" || failed=1
  return $failed
}

# Without --long it takes some fast targets.
# Few inputs in the same order each time, so that a finding belongs to a change. scripts/fuzz.sh alone looks for new ones.
step_fuzz() {
  local targets=()
  [ $long = 1 ] || targets=(enforce merge schema_file scram wire_command wire_compressed)
  scripts/fuzz.sh --seconds "${FUZZ_SECONDS:-$((long ? 15 : 2))}" --runs 20000 --seed 1 "${targets[@]}"
}

step_model() {
  "$venv/bin/python" -m pytest tests/model -q -p no:cacheprovider -n "$(nproc)" "${marked[@]}"
}

step_simulation() {
  local failed=0
  scripts/simulate.sh --seconds $((long ? 60 : 10)) || failed=1
  [ $long = 0 ] || scripts/simulate.sh --sanitized --seconds 20 || failed=1
  return $failed
}

step_integration() {
  local preset=release
  [ $long = 0 ] || preset=debug-sanitized
  build_preset $preset mongosluice || return 1
  MONGOSLUICE_BINARY=$project/build/$preset/src/main/mongosluice SLUICE_HISTORY_SECONDS=$((long ? 20 : 8)) \
    "$venv/bin/python" -m pytest tests -q -p no:cacheprovider "${marked[@]}" "${at_once[@]}"
}

# Compiles the extension with warnings as errors.
compile_extension() {
  local compiler include
  include=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  for compiler in clang gcc; do
    "$compiler" -std=c17 -O3 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden "-I$include" \
      python/native/*.c -o "$cache/extension.so" || return
  done
}

# Builds the source archive, and from it the wheel that users get. Prints the wheel's path.
build_wheel() {
  rm -rf python/dist "$cache/egg"
  mkdir -p "$cache/egg"
  (cd python && run_logged sdist "$venv/bin/python" setup.py -q egg_info --egg-base "$cache/egg" sdist -d dist) || return
  # In the short run the wheel takes the proxy of build/release.
  MONGOSLUICE_PROXY=$([ $long = 1 ] || echo "$project/build/release") \
    run_logged wheel "$venv/bin/python" -m pip wheel --no-deps --no-build-isolation --no-index --no-cache-dir -w python/dist \
    python/dist/mongosluice-*.tar.gz || return
  echo "$project"/python/dist/mongosluice-*.whl
}

step_python() {
  local failed=0 wheel
  build_preset release mongosluice sluice_validator || return 1
  compile_extension && wheel=$(build_wheel) || return 1
  [ $long = 0 ] || test_pure_python "$wheel" || failed=1
  rm -rf "$cache/python"
  "$venv/bin/python" -m pip install -q --no-deps --no-index --target "$cache/python" "$wheel" || return 1
  run_pytest_python "$venv/bin/python" "$wheel" || failed=1
  [ $long = 0 ] || run_pytest_python "$venv_beanie1/bin/python" "$wheel" || failed=1
  return $failed
}

# Runs the same tests without the extension, which makes the package use its pure Python code.
test_pure_python() {
  rm -rf "$cache/python" && mkdir -p "$cache/python" && cp -r python/src/mongosluice "$cache/python/"
  rm -f "$cache/python/mongosluice/"*.so
  MONGOSLUICE_PURE=1 run_pytest_python "$venv/bin/python" "$1"
}

# run_pytest_python PYTHON WHEEL: with the package in .cache/python. These tests are bound by the CPU, and each process
# starts servers of its own.
run_pytest_python() {
  local extent=(--fewer-examples)
  [ $long = 0 ] || extent=(--models 300)
  PYTHONPATH=$cache/python MONGOSLUICE_WHEEL=$2 "$1" -m pytest python/tests -c python/pyproject.toml -q -p no:cacheprovider \
    -n "$(($(nproc) + 1))" --dist worksteal "${extent[@]}" -W ignore::DeprecationWarning
}

step_bench() {
  build_preset release mongosluice sluice_validator bench_programs || return 1
  "$venv/bin/python" -m pytest tests/bench -q -p no:cacheprovider "${marked[@]}" -n "$(nproc)"
}

step_suites() {
  scripts/driver-suites.sh "--$([ $long = 1 ] && echo fast || echo few)"
}

step_docs() {
  local failed=0
  build_preset release mongosluice sluice_validator || return 1
  "$venv/bin/python" -m pytest tests/docs/test_runner.py tests/docs/test_names.py tests/docs/run_docs.py -q -p no:cacheprovider "${at_once[@]}" || failed=1
  scripts/build-site.py || failed=1
  return $failed
}

step_packaging() {
  build_preset package package || return 1
  "$venv/bin/python" -m pytest tests/packaging -q -p no:cacheprovider "${marked[@]}"
}

# Compiles while packages are installed.
build_ahead() {
  build_preset debug-sanitized || true
  build_preset release mongosluice sluice_validator bench_programs simulate
}

all=0
if [ ${#steps[@]} -eq 0 ]; then
  all=1 steps=(lint unit model simulation integration python bench suites docs)
  [ $long = 0 ] || steps+=(fuzz packaging)
fi
for step in "${steps[@]}"; do
  declare -F "step_$step" >/dev/null || { sed -n '2,33{/^#/!q;s/^# \?//p}' "$0"; die "no such step: $step"; }
done

scripts/setup.sh build interpreter
ahead=
[ $all = 0 ] || { build_ahead & ahead=$!; }
parts=(build python checks beanie1 suites promtool site)
[[ $long = 0 && " ${steps[*]} " != *" packaging "* ]] || parts+=(packaging)
[ $long = 0 ] || parts+=(browser)
scripts/setup.sh "${parts[@]}"
summary=("setup passed after $SECONDS s")
[ -z "$ahead" ] || wait "$ahead" || true  # the step that needs the build tells the failure
summary+=("build passed after $SECONDS s")
passed=0 failed=()
for step in "${steps[@]}"; do
  say "--- $step"
  started=$SECONDS
  # A shell of its own, so that a failing step does not end the others.
  verdict=passed
  if ("step_$step"); then passed=$((passed + 1)); else failed+=("$step") verdict=failed; fi
  summary+=("$step $verdict after $((SECONDS - started)) s")
  say "--- ${summary[-1]}"
done
say "--- total: $SECONDS s" "${summary[@]/#/; }"
say "steps: $passed passed, ${#failed[@]} failed${failed[*]:+: ${failed[*]}}"
[ ${#failed[@]} -eq 0 ]
