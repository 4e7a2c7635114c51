#!/usr/bin/env bash
# Fuzzes each target for a time, and prints a table of the results.
#   scripts/fuzz.sh [--seconds N] [--runs R] [--seed S] [TARGET…]    N for each target (default: 60); default: all targets
# --runs: at most R inputs for each target. --seed: tries inputs in the order that S gives; without it, in another one each
# time. With both, and an empty .cache/fuzz, a target that is fast enough tries the same inputs each time.
# Runs one target for each CPU at a time. The corpus grows in .cache/fuzz/NAME, and the next run starts with it.
# The targets whose names begin with ROOM_ use the dictionary tests/fuzz/ROOM.dict.
# Findings are written to .cache/fuzz/NAME-…; after a fix, add the file to tests/fuzz/corpus/NAME, which every test
# run replays. Exit status 1 if there is a finding.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=60 wanted=() limit=() order=()
while [ $# -gt 0 ]; do
  case $1 in
  --seconds) seconds=$2 && shift ;;
  --runs) limit=("-runs=$2") && shift ;;
  --seed) order=("-seed=$2") && shift ;;
  -*) sed -n '2,10s/^# \?//p' "$0" && die "no such option: $1" ;;
  *) wanted+=("$1") ;;
  esac
  shift
done

# fuzz_one TARGET: writes the target's row of the table to a file; fails if there is a finding.
fuzz_one() {
  local target=$1 name=${1##*/fuzz_} finding=none log options=()
  log=$logs/fuzz_$name.log
  mkdir -p "$cache/fuzz/fuzz_$name"
  [ ! -e "$project/tests/fuzz/${name%%_*}.dict" ] || options+=("-dict=$project/tests/fuzz/${name%%_*}.dict")
  run_logged "fuzz_$name" "$target" "${options[@]}" "${limit[@]}" "${order[@]}" -max_total_time="$seconds" -timeout=30 -print_final_stats=1 \
    -artifact_prefix="$cache/fuzz/fuzz_$name-" "$cache/fuzz/fuzz_$name" \
    "$project/tests/fuzz/corpus/$name" || finding="see $log"
  printf '| %s | %s | %s | %s | %s |\n' "$name" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)" \
    "$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)" \
    "$(sed -n 's/.*corp: \([0-9]*\).*/\1/p' "$log" | tail -n 1)" "$finding" >"$logs/fuzz_$name.row"
  [ "$finding" = none ]
}

# reap: waits for one of the running targets.
reap() {
  wait -n || failed=1
  running=$((running - 1))
}

targets=(fuzz_targets)
[ ${#wanted[@]} -eq 0 ] || targets=("${wanted[@]/#/fuzz_}")
build_preset fuzz "${targets[@]}"
rows=() failed=0 running=0 jobs=$(nproc)
for target in "$project"/build/fuzz/tests/fuzz/fuzz_*; do
  [ -f "$target" ] && [ -x "$target" ] || continue
  name=${target##*/fuzz_}
  [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $name "* ]] || continue
  rows+=("$logs/fuzz_$name.row")
  [ $running -lt "$jobs" ] || reap
  fuzz_one "$target" &
  running=$((running + 1))
done
while [ $running -gt 0 ]; do reap; done
[ ${#rows[@]} -gt 0 ] || die "no such target: ${wanted[*]}"
printf '| target | executions | edges covered | corpus | finding |\n|---|---:|---:|---:|---|\n'
cat "${rows[@]}"
[ $failed -eq 0 ] || die "there are findings"
