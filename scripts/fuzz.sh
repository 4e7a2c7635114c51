#!/usr/bin/env bash
# Fuzzes each target for a time, and says what came of it.
#   scripts/fuzz.sh [--seconds N] [TARGET…]    N of each, 60 unless said; all targets when none is named
# As many at a time as there are CPUs.
# What it learns is kept in .cache/fuzz/NAME, which the next run begins with. Findings are written to
# .cache/fuzz/NAME-…; each that is mended goes to tests/fuzz/corpus/NAME, which every test run replays.
# Ends with 1 when there is a finding.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=60 wanted=()
while [ $# -gt 0 ]; do
  case $1 in
  --seconds) seconds=$2 && shift ;;
  -*) sed -n '2,7s/^# \?//p' "$0" && die "no such option: $1" ;;
  *) wanted+=("$1") ;;
  esac
  shift
done

# fuzz_one TARGET: its row of the table goes to a file; fails when there is a finding
fuzz_one() {
  local target=$1 name=${1##*/fuzz_} finding=none log
  log=$logs/fuzz_$name.log
  mkdir -p "$cache/fuzz/fuzz_$name"
  run_logged "fuzz_$name" "$target" -max_total_time="$seconds" -timeout=30 -print_final_stats=1 \
    -artifact_prefix="$cache/fuzz/fuzz_$name-" "$cache/fuzz/fuzz_$name" \
    "$project/tests/fuzz/corpus/$name" || finding="see $log"
  printf '| %s | %s | %s | %s | %s |\n' "$name" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)" \
    "$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)" \
    "$(sed -n 's/.*corp: \([0-9]*\).*/\1/p' "$log" | tail -n 1)" "$finding" >"$logs/fuzz_$name.row"
  [ "$finding" = none ]
}

# reap: one of those that run has ended
reap() {
  wait -n || failed=1
  running=$((running - 1))
}

build_preset fuzz
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
