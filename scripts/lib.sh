# What the scripts of this folder share; sourced, never run. Expects `set -euo pipefail`.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$project/.cache
venv=$project/.venv
venv_beanie1=$cache/venv-beanie1
suites=$cache/suites
logs=$cache/log
mkdir -p "$cache" "$logs"

say() {
  printf '%s\n' "$*" >&2
}

die() {
  say "error: $*"
  exit 1
}

# run_logged NAME COMMAND…: quiet while all goes well; the end of what it printed when it fails.
run_logged() {
  local name=$1 status=0
  shift
  "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
  [ "$status" -eq 0 ] && return 0
  tail -n 40 "$logs/$name.log" >&2
  say "error: $name failed with status $status: $*"
  say "  all that it printed: $logs/$name.log"
  return "$status"
}

# build_preset PRESET [TARGET…]: configures once, then brings the targets (all of them) up to date.
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
