# Shared functions of the scripts in this folder. Source this file; do not run it. Expects `set -euo pipefail`.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$project/.cache
venv=$project/.venv
venv_beanie1=$cache/venv-beanie1
venv_site=$cache/venv-site
suites=$cache/suites
logs=$cache/log
mkdir -p "$cache" "$logs"

# Many processes import the tests' modules: compiled once, and not beside the sources.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX=$cache/bytecode

say() {
  printf '%s\n' "$*" >&2
}

die() {
  say "error: $*"
  exit 1
}

# run_logged NAME COMMAND…: prints nothing if the command succeeds, and the end of its output if it fails.
run_logged() {
  local name=$1 status=0
  shift
  "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
  [ "$status" -eq 0 ] && return 0
  tail -n 40 "$logs/$name.log" >&2
  say "error: $name failed with status $status: $*"
  say "  full output: $logs/$name.log"
  return "$status"
}

# build_preset PRESET [TARGET…]: configures once, then builds the targets (default: all).
build_preset() {
  local preset=$1 arguments=()
  shift
  [ $# -eq 0 ] || arguments=(--target "$@")
  cd "$project"
  if [ ! -f "build/$preset/build.ninja" ]; then
    run_logged "configure-$preset" cmake --preset "$preset" || return
  fi
  run_logged "build-$preset" cmake --build --preset "$preset" -j "$(nproc)" "${arguments[@]}"
}
