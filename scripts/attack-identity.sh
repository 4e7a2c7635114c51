#!/usr/bin/env bash
# Logins in every disorder beside inserts that are merged: no insert may run as another than its client.
#   scripts/attack-identity.sh [--seconds N] [--seed S]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
build_preset debug-sanitized mongosluice
cd "$project"
export MONGOSLUICE_BINARY=$project/build/debug-sanitized/src/main/mongosluice
exec "$venv/bin/python" tests/attack/identity_play.py "$@"
