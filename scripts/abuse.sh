#!/usr/bin/env bash
# Attacks on the proxy, larger than in the tests.
#   scripts/abuse.sh [PART] [OPTION…]       PART, and its options (--help shows them):
#     load       thousands of hostile clients: measures the proxy's memory, descriptors, and the p99 of the
#                other clients (tests/stress/abuse.py); this is the default part
#     identity   logins in any order during merged inserts: each insert must run as the identity of
#                its own client (tests/attack/identity_play.py --seconds N --seed S)
#     writes     random write commands, well-formed and malformed, into a collection with a schema: no stored
#                document may violate it (tests/property/property_bypass.py --seconds N --seed S)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

part=load
case ${1:-} in load | identity | writes) part=$1 && shift ;; esac
case $part in
  load) program=tests/stress/abuse.py preset=release targets=(mongosluice nullserver loadgen) ;;
  identity) program=tests/attack/identity_play.py preset=debug-sanitized targets=(mongosluice) ;;
  writes) program=tests/property/property_bypass.py preset=debug-sanitized targets=(mongosluice) ;;
esac
"$project/scripts/setup.sh" build python
build_preset "$preset" "${targets[@]}"
cd "$project"
[ "$part" = load ] || export MONGOSLUICE_BINARY=$project/build/$preset/src/main/mongosluice
exec "$venv/bin/python" "$program" "$@"
