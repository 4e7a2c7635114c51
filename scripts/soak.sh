#!/usr/bin/env bash
# Mixed load and faults for as long as it is told: tests/stress/soak.py says which.
#   scripts/soak.sh [--seconds N] [--seed S]     an hour, seed 1; or the proxy that MONGOSLUICE_BINARY names
# The last line reads `operations N, faults N, violations N`; ends with 1 when there was a violation.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
if [ -z "${MONGOSLUICE_BINARY:-}" ]; then
  build_preset release mongosluice
fi
cd "$project"
PYTHONPATH=tests:tests/integration:tests/stress exec "$venv/bin/python" tests/stress/soak.py "$@"
