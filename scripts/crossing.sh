#!/usr/bin/env bash
# Checks that no command runs as another user and that every answer goes to its request: many clients of several users
# log in and out, write, read, and go on with cursors and transactions, while connections are cut, users are dropped
# and passwords change.
#   scripts/crossing.sh [--seconds N] [--seed S] [--way session|shared|verifier|direct…] [--clients N]
#                       [--option NAME=VALUE…]
#   scripts/crossing.sh --planted [--seconds N]     builds proxies with planted bugs, which the check must find
# The last line ends with: crossings N. Exit status 1 if there was one. MONGOSLUICE_BINARY names the proxy (default:
# the release build).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
export PYTHONPATH=$project/tests:$project/tests/integration
if [ "${1:-}" = --planted ]; then
  shift
  exec "$venv/bin/python" -m crossing.planted "$@"
fi
[ -n "${MONGOSLUICE_BINARY:-}" ] || build_preset release mongosluice
exec "$venv/bin/python" -m crossing "$@"
