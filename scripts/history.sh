#!/usr/bin/env bash
# Compares the replies that drivers received for their inserts with the stored documents, while servers, connections,
# clients and the proxy fail by a seeded schedule.
#   scripts/history.sh [--seconds N] [--seed S] [--topology replica-set|standalone] [--server PROGRAM]
#                      [--statements exact|mongodb-4.4] [--sharing] [--without-merging]
# The last line reads: operations N, faults N, violations N. Exit status 1 if there were violations.
# MONGOSLUICE_BINARY names the proxy (default: the release build).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
[ -n "${MONGOSLUICE_BINARY:-}" ] || build_preset release mongosluice
PYTHONPATH=$project/tests:$project/tests/integration exec "$venv/bin/python" -m history "$@"
