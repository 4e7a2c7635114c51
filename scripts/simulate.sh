#!/usr/bin/env bash
# Builds the simulation and runs histories of the whole proxy under fresh seeds (docs/simulation.md).
#   scripts/simulate.sh [--seconds N] [--seed S] [--sanitized] [ARGUMENT…]
# Default: 60 seconds, from a seed of the present time. Runs the seeds of tests/simulation/failed-seeds.txt first.
# --sanitized: with the address and undefined-behaviour sanitizers, about ten times slower. Further arguments go to
# the program. The first failure is shrunk, and its trace printed; exit status 1.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

preset=release seconds=60 seed=$(date +%s)000000 more=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=$2 && shift ;;
    --seed) seed=$2 && shift ;;
    --sanitized) preset=debug-sanitized ;;
    *) more+=("$1") ;;
  esac
  shift
done

build_preset "$preset" simulate
exec "$project/build/$preset/tests/simulation/simulate" --seeds "$project/tests/simulation/failed-seeds.txt" \
  --seconds "$seconds" --seed "$seed" ${more[@]+"${more[@]}"}
