#!/usr/bin/env bash
# Takes the figures of all pages in docs/benchmarks: the cost of a hop, the gain from merging, the cost of validation, the
# growth of cost, a profile, shared upstream connections, the cost of an ODM, and the effect of hostile clients.
#   scripts/bench.sh [--quick] [--out FOLDER] [--page PAGE[,PAGE…]] [--server URI]
# Pages: hop hop-pinned hop-secantus merging validation growth profile sharing odm abuse; default: all. Each program writes PAGE.md and
# PAGE.json into the folder (docs/benchmarks), and scripts/plot-benchmarks.py draws the plots. The last lines say how long
# each page took.
# --quick: fewer cases and rounds, about four minutes instead of forty. --server: a server that runs already, instead of
# those that the script starts (not for hop-pinned, hop-secantus, profile and abuse); with it, name another folder by --out.
# The script names and skips routes and servers that are not installed (haproxy, nginx-light with libnginx-mod-stream,
# linux-perf, secantusd-rs by SECANTUSD_RS or PATH, mongobetween by MONGOBETWEEN or PATH); `scripts/setup.sh bench`
# installs the Debian packages. Exit status: 1 if a target is missed, 2 if a page cannot be taken.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$project"

all=(hop hop-pinned hop-secantus merging validation growth profile sharing odm abuse)
out=docs/benchmarks quick=0 pages=() server=()

usage() {
  sed -n '2,15s/^# \?//p' "$0" >&2
  die "$1"
}

while [ $# -gt 0 ]; do
  case $1 in
  --quick) quick=1 ;;
  --out | --page | --server)
    [ $# -ge 2 ] || usage "$1 needs a value"
    case $1 in
    --out) out=$2 ;;
    --server) server=(--server "$2") ;;
    --page) IFS=, read -ra named <<<"$2" && pages+=("${named[@]}") ;;
    esac
    shift
    ;;
  *) usage "no such option: $1" ;;
  esac
  shift
done
for page in "${pages[@]}"; do
  [[ " ${all[*]} " == *" $page "* ]] || usage "no such page: $page"
done
if [ ${#server[@]} -gt 0 ]; then
  [ "$out" != docs/benchmarks ] || die "--server needs --out: the pages in docs/benchmarks are those of the script's own servers"
  [ ${#pages[@]} -gt 0 ] || pages=(hop merging validation growth sharing odm)
fi
[ ${#pages[@]} -gt 0 ] || pages=("${all[@]}")
routes="direct,HAProxy,nginx,mongosluice,validating,merging,compressed"
tls_routes="HAProxy TLS,TLS,direct TLS,HAProxy TLS both sides,TLS both sides"

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
    --markdown "$out/$name.md" "${server[@]}" "$@"
}

page_hop() {
  local how=(--rounds 4 --seconds 0.3) list
  list="$(cases ping "1 16 64 256 1024"),find*1:64,$(cases find*1000 "64 1024")"
  list="$list,$(cases insert*1 "1 64 256"),insert*1000:64"
  if [ $quick -eq 1 ]; then list=ping:1,ping:64,find*1000:64 how=(--rounds 1 --seconds 0.2 --idle 1000); fi
  bench hop hop --routes "$routes,$tls_routes" --cases "$list" --dials "${how[@]}"
}

page_hop-pinned() {
  local how=(--rounds 7 --seconds 0.5) list
  list="$(cases ping "1 16 64 256"),$(cases insert*1 "1 64")"
  if [ $quick -eq 1 ]; then list=ping:1,ping:64 how=(--rounds 1 --seconds 0.2); fi
  bench hop-pinned hop --title "What a hop costs on a CPU of its own" --pin --idle 0 \
    --routes "direct,HAProxy,mongosluice,polling,HAProxy TLS both sides,TLS both sides" --cases "$list" "${how[@]}"
}

page_hop-secantus() {
  local how=(--rounds 2 --seconds 0.5) list
  # SecantusDB takes no compressed commands, and not 1,000 connections. It executes 100 to 1,000 inserts of one
  # document a second, and 15 to 30 of a thousand documents. With more connections the benchmark would measure only
  # its queue.
  list="$(cases "ping find*1" "1 64"),$(cases insert*1 "1 16"),$(cases "find*1000 insert*1000" 1)"
  if [ $quick -eq 1 ]; then list=ping:16,insert*1:1 how=(--rounds 1 --seconds 0.3); fi
  bench hop-secantus hop --title "What a hop costs, in front of a database" --upstream py --idle 0 \
    --routes "${routes%,compressed},HAProxy TLS,TLS" --cases "$list" "${how[@]}"
}

page_merging() {
  local how=(--rounds 4 --lone-extra 2 --light-rounds 2 --seconds 0.4 --warmup 0.15)
  if [ $quick -eq 1 ]; then
    how=(--rounds 1 --lone-extra 0 --light-rounds 1 --seconds 0.2 --warmup 0.1 --connections 64 --light-connections 64
      --rates 15000)
  fi
  bench merging merge_bench "${how[@]}"
}

page_validation() {
  local how=(--rounds 31)
  if [ $quick -eq 1 ]; then how=(--rounds 3 --documents 5000); fi
  bench validation enforce_bench "${how[@]}"
}

page_growth() {
  local how=(--rounds 3 --seconds 0.5)
  if [ $quick -eq 1 ]; then
    how=(--rounds 1 --seconds 0.2 --connection-counts 16,1024 --document-sizes 100,100000 --namespace-counts 1,1000)
  fi
  bench growth growth "${how[@]}"
}

page_profile() {
  local how=(--seconds 3 --calls "ping:1,ping:64,insert:64,insert:256,find*1000:4" --profile
    "ping:64,validating@insert:64,merging@insert:256") operations=120000
  if [ $quick -eq 1 ]; then how=(--seconds 1 --calls ping:64 --profile ping:64) operations=12000; fi
  command -v perf >/dev/null || { say "perf is not installed: the page is left out" && return 0; }
  bench profile hop --title "Where the time goes" --routes HAProxy,nginx,mongosluice,validating,merging --cases '' \
    --idle 0 "${how[@]}" &&
    "$venv/bin/python" tests/bench/allocations.py --build build/release --append "$out/profile.md" --operations "$operations"
}

page_sharing() {
  local how=(--servers null,rs,py --rounds 3 --seconds 0.6 --idle-seconds 10 --logins 2000 --fleets 5000,9000)
  if [ $quick -eq 1 ]; then
    how=(--rounds 1 --seconds 0.3 --fleets 1000 --idle 1000 --idle-seconds 3 --logins 200 --login-rounds 1)
  fi
  bench sharing sharing_bench "${how[@]}"
}

page_odm() {
  local how=(--rounds 2)
  if [ $quick -eq 1 ]; then how=(--rounds 1 --documents 1000 --kinds user); fi
  scripts/setup.sh beanie1
  (cd python && run_logged extension "$venv/bin/python" setup.py build_ext --inplace) || return 2
  bench odm odm_bench "${how[@]}"
}

page_abuse() {
  local how=(--rounds 2 --seconds 0.6)
  if [ $quick -eq 1 ]; then how=(--rounds 1 --seconds 0.3 --scale 0.1 --abuses "slow senders,random bytes,TLS garbage"); fi
  bench abuse ../stress/abuse "${how[@]}"
}

scripts/setup.sh build python
build_preset release mongosluice nullserver loadgen logingen dialgen schema_bench count_allocations
mkdir -p "$out"
worst=0 times=()
for page in "${pages[@]}"; do
  say "--- $page"
  status=0 began=$SECONDS
  "page_$page" || status=$?
  [ "$status" -le "$worst" ] || worst=$status
  times+=("$page: $((SECONDS - began)) s, status $status")
done
scripts/plot-benchmarks.py "$out"
say "--- taken:" && printf '  %s\n' "${times[@]}" >&2
say "--- all: $((SECONDS / 60)) min $((SECONDS % 60)) s"
exit "$worst"
