#!/usr/bin/env bash
# Runs scripts/test.sh again and again, and stops at the first run that fails.
#   scripts/repeat-tests.sh N [--long] [STEP…]
# Prints how long each step of each run took. The output of run K is in .cache/log/tests-K.log.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ ${1:-} =~ ^[1-9][0-9]*$ ]] || { sed -n '2,4s/^# \?//p' "$0"; die "the first argument is the number of runs"; }
runs=$1
shift
for ((run = 1; run <= runs; run++)); do
  log=$logs/tests-$run.log status=0
  "$project/scripts/test.sh" "$@" >"$log" 2>&1 || status=$?
  printf 'run %d: %s\n       %s\n' "$run" "$(grep '^--- total: ' "$log")" "$(tail -n 1 "$log")"
  [ $status -eq 0 ] || die "run $run of $runs failed: see $log"
done
echo "$runs runs in a row passed"
