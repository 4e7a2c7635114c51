#!/usr/bin/env bash
# Runs an unchanged Motor and an unchanged Beanie program through the proxy. The proxy checks their writes against
# schemas made from the Beanie program's models, and merges concurrent inserts. Then the demo sends raw documents that
# violate a schema. It installs and builds missing parts, starts a server and the proxy on free ports, prints the
# results of the programs, and ends everything that it started. The server is the one in MONGODB_URI; or mongod, if it
# is on the PATH; or SecantusDB, which comes with the Python packages. DEMO_SERVER=secantus|mongod chooses between the
# last two.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$project/scripts/setup.sh" build python
build_preset release mongosluice
exec "$venv/bin/python" "$project/scripts/demo.py"
