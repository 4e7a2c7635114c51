#!/usr/bin/env bash
# Hostile clients by the thousand against one proxy: its memory, its descriptors, and the p99 of the others.
#   scripts/abuse.sh [option…]     options: those of tests/stress/abuse.py (--help shows them)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
build_preset release mongosluice nullserver loadgen
cd "$project"
exec "$venv/bin/python" tests/stress/abuse.py "$@"
