#!/usr/bin/env bash
# Runs the test suites of the ODMs directly, through the proxy, with schemas and with offload, and prints the tests
# whose outcome differs. The user fetches the suites and names their folders: --beanie, --beanie1, --mongoengine
# FOLDER;
# --help lists all options.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python beanie1
[ -n "${MONGOSLUICE_BINARY:-}" ] || build_preset release mongosluice
packages=$cache/odm-suites
mkdir -p "$packages"
run_logged odm-package "$venv/bin/python" -m pip install --no-deps --no-build-isolation --upgrade \
  --target "$packages/package" "$project/python"
# Packages that only the suites need.
needed=(blinker==1.9.0 pydantic-settings==2.16.3 python-dotenv==1.2.4 pydantic-extra-types==2.11.1 asgi-lifespan==2.1.0
  sniffio==1.3.1 httpx==0.28.1 httpcore==1.0.9 h11==0.16.0 anyio==4.16.0 certifi==2026.10.19.post1 idna==3.20
  fastapi==0.129.2 starlette==1.10.0 email-validator==2.4.0 annotated-doc==0.0.7 time-machine==3.6.0)
if [ "$(cat "$packages/needed.txt" 2>/dev/null)" != "${needed[*]}" ]; then
  rm -rf "$packages/needed"
  run_logged odm-needed "$venv/bin/python" -m pip install --no-deps --target "$packages/needed" "${needed[@]}"
  echo "${needed[*]}" >"$packages/needed.txt"
fi
export ODM_PACKAGES=$packages/package:$packages/needed
exec "$venv/bin/python" "$project/tests/suites/odm_suites.py" "$@"
