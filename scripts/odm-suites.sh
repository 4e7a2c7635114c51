#!/usr/bin/env bash
# Runs the test suites of the ODMs direct, through the proxy, with schemas and with offload, and prints
# the tests whose outcome differs. The suites are fetched by whoever runs this: --mongoengine FOLDER;
# --help: all options.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
[ -n "${MONGOSLUICE_BINARY:-}" ] || build_preset release mongosluice
packages=$cache/odm-suites
mkdir -p "$packages"
run_logged odm-package "$venv/bin/python" -m pip install --no-deps --no-build-isolation --upgrade \
  --target "$packages/package" "$project/python"
# What MongoEngine's tests of signals need and nothing else here does.
[ -d "$packages/needed/blinker" ] || run_logged odm-needed "$venv/bin/python" -m pip install --no-deps \
  --target "$packages/needed" blinker==1.9.0
export ODM_PACKAGES=$packages/package:$packages/needed
exec "$venv/bin/python" "$project/tests/suites/odm_suites.py" "$@"
