#!/usr/bin/env bash
# usage: check-configuration-doc.sh BUILD_DIR
# Whether docs/configuration.md lists the options as the built program does.
set -euo pipefail
exec python3 "$(dirname "$0")/generate-configuration-doc.py" --check "${1:?BUILD_DIR is missing}"
