#!/usr/bin/env bash
# Measures the cost of a hop through mongosluice, beside a direct connection and HAProxy in TCP mode, with an upstream
# that does no work. See docs/benchmarks.md. The options are those of tests/bench/hop.py (--help lists them).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=${SLUICE_BUILD:-build/release}
if [ ! -f "$build/build.ninja" ]; then
    cmake --preset release >/dev/null
    build=build/release
fi
ninja -C "$build" nullserver loadgen dialgen >/dev/null
if ninja -C "$build" -t query mongosluice >/dev/null 2>&1; then
    ninja -C "$build" mongosluice >/dev/null
fi
exec python3 tests/bench/hop.py --build "$build" "$@"
