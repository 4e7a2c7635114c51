#!/usr/bin/env bash
# Checks the chart with Helm, checks every manifest against the schemas of Kubernetes, and writes
# docker/kubernetes/gateway.yaml anew from the chart.
#   tests/packaging/manifests.sh           fails if gateway.yaml differs from the rendered chart
#   tests/packaging/manifests.sh --write   writes it
# Run by hand: Helm is built from its Go module (some minutes, once), and the schemas come as a Python package of 22
# MB.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$project"
helm=$cache/bin/helm
chart=docker/helm/mongosluice
scripts/setup.sh release
[ -x "$helm" ] || die "Go is not installed (Helm is built from its module)"
if [ ! -x "$cache/venv-kubernetes/bin/kubernetes-validate" ]; then
  python3 -m venv "$cache/venv-kubernetes"
  run_logged pip-kubernetes "$cache/venv-kubernetes/bin/pip" install kubernetes-validate==1.37.0
fi

render() { "$helm" template --kube-version 1.31.0 "$@"; }
work=$(mktemp -d "$cache/manifests-XXXXXX")
trap 'rm -rf "$work"' EXIT

"$helm" lint --strict --quiet "$chart" -f "$chart/ci/replica-set-values.yaml"
render demo "$chart" -f "$chart/ci/replica-set-values.yaml" >"$work/all.yaml"
render demo "$chart" -f "$chart/ci/registry-values.yaml" >"$work/registry.yaml"
render demo "$chart" --set existingSecret=own --set servers=3 --set networkPolicy.enabled=false >"$work/own-secret.yaml"
{
  echo "# A gateway for a replica set of three members, as the chart renders it (tests/packaging/manifests.sh"
  echo "# --write): to be read, or applied without Helm."
  render mongosluice "$chart" -f "$chart/ci/gateway-values.yaml" | grep -v '^# Source: '
} >"$work/gateway.yaml"
if [ "${1:-}" = --write ]; then
  cp "$work/gateway.yaml" docker/kubernetes/gateway.yaml
fi
diff -u docker/kubernetes/gateway.yaml "$work/gateway.yaml" ||
  die "docker/kubernetes/gateway.yaml differs from the rendered chart; run $0 --write"

say "the values, the refusals and the proxy's check of the rendered files"
build_preset package package
HELM=$helm "$venv/bin/python" -m pytest tests/packaging/test_chart.py -q -p no:cacheprovider

checked=0
for file in "$work"/*.yaml docker/kubernetes/*.yaml; do
  for version in 1.29 1.37; do
    "$cache/venv-kubernetes/bin/kubernetes-validate" -k "$version" --strict --quiet "$file" >"$work/out" 2>&1 ||
      die "$(cat "$work/out")"
    # a kind without a schema there is not Kubernetes' own
    if grep -v ServiceMonitor "$work/out" | grep .; then die "see above"; fi
  done
  checked=$((checked + $(grep -c '^kind: ' "$file")))
done
say "$checked manifests hold against the schemas of Kubernetes 1.29 and 1.37"
