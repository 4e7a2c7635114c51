#!/bin/sh
# replay.sh PROGRAM HISTORIES: a seed gives the same history in any process and at any address, whatever ran before it.
set -eu
run() {
  "$program" --histories "$histories" --seed 1 --go-on "$@" | grep -o 'hash [0-9a-f]*'
}
program=$1 histories=$2
first=$(run --twice)
second=$(MALLOC_PERTURB_=165 MALLOC_ARENA_TEST=1 GLIBC_TUNABLES=glibc.malloc.tcache_count=0 run)
[ "$first" = "$second" ] || { echo "the same seeds gave two histories: $first, $second"; exit 1; }
echo "$histories histories, each the same three times: $first"
