#!/usr/bin/env bash
# An unchanged Motor and an unchanged Beanie program, run through the proxy, which holds their writes
# against schemas made from the Beanie program's models and merges concurrent inserts; then raw
# documents that break a schema. Installs and builds what is missing, starts a server and the proxy on
# free ports, prints what the programs did, and ends everything it started.
# The server: the one MONGODB_URI names; or mongod, where it is on the PATH; or SecantusDB, which
# is installed with the Python packages. DEMO_SERVER=secantus|mongod chooses between the last two.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
build_preset release mongosluice
exec "$venv/bin/python" "$project/scripts/demo.py"
