#!/usr/bin/env bash
# usage: check-configuration-doc.sh BUILD_DIR
# Checks that docs/configuration.md and the Helm chart's values list the same options as the built program.
set -euo pipefail
exec python3 "$(dirname "$0")/generate-configuration-doc.py" --check "${1:?BUILD_DIR is missing}"
