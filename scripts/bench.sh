#!/usr/bin/env bash
# Runs all benchmarks: the cost of a hop, the gain from merging, the cost of validation, the growth of cost, a
# profile, shared upstream connections, and the cost of an ODM.
#   scripts/bench.sh [--quick] [--out FOLDER] [PART…]
# Parts: hop hop-secantus merging validation growth profile sharing odm; default: all. Each writes PART.md and PART.json
# into the folder (docs/benchmarks), and scripts/plot-benchmarks.py draws the plots of these pages.
# --quick: fewer cases and rounds, about four minutes instead of two hours. The script names and skips routes and
# servers that are not installed (haproxy, nginx-light with libnginx-mod-stream, linux-perf, secantusd-rs by
# SECANTUSD_RS or PATH, mongobetween by MONGOBETWEEN or PATH). Exit status: 1 if a target is missed, 2 if a part
# cannot run.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$project"

out=docs/benchmarks quick=0 parts=()
while [ $# -gt 0 ]; do
  case $1 in
  --quick) quick=1 ;;
  --out) out=$2 && shift ;;
  hop | hop-secantus | merging | validation | growth | profile | sharing | odm) parts+=("$1") ;;
  *) sed -n '2,11s/^# \?//p' "$0" && die "no such option or part: $1" ;;
  esac
  shift
done
[ ${#parts[@]} -gt 0 ] || parts=(hop hop-secantus merging validation growth profile sharing odm)
routes=direct,HAProxy,nginx,mongosluice,validating,merging,TLS,compressed

# cases "COMMAND…" "CONNECTIONS…": prints command:connections for each pair
cases() {
  local command connections list=()
  for command in $1; do
    for connections in $2; do list+=("$command:$connections"); done
  done
  (IFS=, && printf '%s' "${list[*]}")
}

bench() {
  local name=$1 program=$2
  shift 2
  "$venv/bin/python" "tests/bench/$program.py" --build build/release --json "$out/$name.json" \
    --markdown "$out/$name.md" "$@"
}

part_hop() {
  local commands="ping find*1 find*1000 insert*1 insert*10 insert*1000" how=(--rounds 5 --seconds 1)
  local at="1 16 64 256 1024"
  if [ $quick -eq 1 ]; then at="1 64" how=(--rounds 3 --seconds 0.3) commands="ping find*1000 insert*1"; fi
  bench hop hop --routes $routes --cases "$(cases "$commands" "$at")" "${how[@]}"
}

part_hop-secantus() {
  local how=(--rounds 3 --seconds 1) at="1 16 64 256" some="1 16 64" few="1 16" cases
  if [ $quick -eq 1 ]; then at="16" some="16" few="1" how=(--rounds 3 --seconds 0.5); fi
  # SecantusDB takes no compressed commands, and not 1,000 connections. It executes 100 to 1,000 inserts of one
  # document a second, and 15 to 30 of a thousand documents. With more connections the benchmark would measure only
  # its queue.
  cases="$(cases "ping find*1" "$at"),$(cases "insert*1 insert*10" "$some"),$(cases "find*1000 insert*1000" "$few")"
  bench hop-secantus hop --title "What a hop costs, in front of a database" --upstream py --idle 0 \
    --routes "${routes%,compressed}" \
    --cases "$cases" "${how[@]}"
}

part_merging() {
  local how=(--rounds 5 --seconds 1)
  if [ $quick -eq 1 ]; then how=(--rounds 3 --seconds 0.7 --connections 1,64,256 --variants retryable --rates 10000); fi
  bench merging merge_bench "${how[@]}"
}

part_validation() {
  local how=(--rounds 31)
  if [ $quick -eq 1 ]; then how=(--rounds 7 --servers null); fi
  bench validation enforce_bench "${how[@]}"
}

part_growth() {
  local how=(--rounds 3 --seconds 1)
  if [ $quick -eq 1 ]; then
    how=(--rounds 1 --seconds 0.5 --connection-counts 16,1024 --document-sizes 100,100000 --namespace-counts 1,1000)
  fi
  bench growth growth "${how[@]}"
}

part_profile() {
  bench profile hop --title "Where the time goes" --routes HAProxy,nginx,mongosluice,validating,merging --cases '' \
    --idle 0 --seconds 5 --calls ping:1,ping:64,insert:64,insert:256,find*1000:4 \
    --profile ping:64,validating@insert:64,merging@insert:256 &&
    "$venv/bin/python" tests/bench/allocations.py --build build/release --append "$out/profile.md"
}

part_sharing() {
  local how=()
  if [ $quick -eq 1 ]; then how=(--rounds 1 --seconds 0.5 --fleets 1000,5000 --idle 2000 --idle-seconds 5 --logins 500); fi
  bench sharing sharing_bench "${how[@]}"
}

part_odm() {
  local how=(--rounds 5)
  if [ $quick -eq 1 ]; then how=(--rounds 2 --documents 10000); fi
  scripts/setup.sh beanie1
  (cd python && run_logged extension "$venv/bin/python" setup.py build_ext --inplace) || return 2
  bench odm odm_bench "${how[@]}"
}

scripts/setup.sh build python
build_preset release mongosluice nullserver loadgen logingen schema_bench count_allocations
mkdir -p "$out"
worst=0
for part in "${parts[@]}"; do
  say "--- $part"
  status=0
  "part_$part" || status=$?
  [ "$status" -le "$worst" ] || worst=$status
done
[ "$out" != docs/benchmarks ] || scripts/plot-benchmarks.py
exit "$worst"
