#!/usr/bin/env bash
# Runs mixed load and faults for a given time; tests/stress/soak.py lists them.
#   scripts/soak.sh [--seconds N] [--seed S]     default: an hour, seed 1. MONGOSLUICE_BINARY names the proxy
# The last line reads `operations N, faults N, violations N`. Exit status 1 if there was a violation.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
if [ -z "${MONGOSLUICE_BINARY:-}" ]; then
  build_preset release mongosluice
fi
cd "$project"
PYTHONPATH=tests:tests/integration:tests/stress exec "$venv/bin/python" tests/stress/soak.py "$@"
