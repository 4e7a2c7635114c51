#!/usr/bin/env bash
# What a hop through mongosluice costs, beside a direct connection and HAProxy in TCP mode, on an
# upstream that does nothing. See docs/benchmarks.md; all options are those of tests/bench/hop.py
# (--help shows them).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=${SLUICE_BUILD:-build/release}
if [ ! -f "$build/build.ninja" ]; then
    cmake --preset release >/dev/null
    build=build/release
fi
ninja -C "$build" nullserver loadgen >/dev/null
if ninja -C "$build" -t query mongosluice >/dev/null 2>&1; then
    ninja -C "$build" mongosluice >/dev/null
fi
exec python3 tests/bench/hop.py --build "$build" "$@"
