#!/usr/bin/env bash
# Runs the test suites of PyMongo 4.20.0 and Motor 3.7.1 directly and through the proxy, and prints the tests whose
# outcome differs. A full run takes about an hour; --fast runs the part that CI runs; --suite c or --suite go runs the
# suite of another driver; --help lists all options.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python suites
[ -n "${MONGOSLUICE_BINARY:-}" ] || build_preset release mongosluice
exec "$venv/bin/python" "$project/tests/suites/compare.py" "$@"
