#!/usr/bin/env bash
# Tests the files of a release in build/dist, each where it can run on this machine. scripts/release.sh calls it.
#   tests/packaging/release.sh [TEST…]     default: sums deb arm64 static rpm image chart wheels sbom
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need buildah debootstrap lintian qemu-aarch64-static rpm setpriv
cd "$project"
dist=$project/build/dist
version=$(sed -n 's/^project(mongosluice VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
work=$(mktemp -d "$cache/release-XXXXXX")
arm64=$cache/arm64/root
pids=()
clean_up() {
  local pid
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null
  rm -rf "$work"
}
trap clean_up EXIT

# runs_in_front COMMAND…: the command starts a proxy. The example application works through it in front of a server, and
# its schema is enforced. TERM ends the proxy with status 0.
runs_in_front() {
  local port proxy status=0
  rm -rf "$work/server"
  mkdir -p "$work/server"
  start_upstream "$work/server"
  pids+=("$upstream_pid")
  port=$(free_port)
  "$@" --upstream "mongodb://127.0.0.1:$upstream_port/?replicaSet=secantus" --listen "127.0.0.1:$port" \
    >"$logs/release-proxy.log" 2>&1 &
  proxy=$!
  pids+=("$proxy")
  wait_for_port "$port"
  example_app "$port" >"$work/app"
  grep -qx 'refused with code 121: the total is negative' "$work/app" || die "the schema was not enforced: $(cat "$work/app")"
  kill -TERM "$proxy"
  wait "$proxy" || status=$?
  [ "$status" -eq 0 ] || die "the proxy ended with status $status: $logs/release-proxy.log"
  kill -KILL "$upstream_pid"
  wait "$upstream_pid" 2>/dev/null || true
}

# A small Debian root with the example's schemas, and nothing of this project's libraries.
small_root() {
  clean_root "$work/root"
  mkdir -p "$work/root/schemas"
  cp docker/example/schemas/*.json "$work/root/schemas/"
  find "$work/root" -name 'libmongoc*' -o -name 'libevent*' -o -name 'libyaml*' | grep . && die "the root is not small"
  return 0
}

in_small_root() {
  exec chroot "$work/root" env -i PATH=/usr/local/bin:/usr/bin:/bin MONGOC_DISABLE_SHM=1 "$@"
}

# on_arm64 ROOT COMMAND…
on_arm64() {
  local root=$1
  shift
  exec env MONGOC_DISABLE_SHM=1 qemu-aarch64-static -L "$root" "$@"
}

# Only the C library's parts may be needed, and of it nothing newer than 2.28.
needs_only_glibc() {
  local other newest
  other=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -vE '^(libc|libm|libpthread|libdl|librt|libresolv|ld-linux.*)\.so' || true)
  [ -z "$other" ] || die "$1 needs more than the C library: $other"
  newest=$(readelf -V "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
  [ "$(printf '%s\n' "$newest" GLIBC_2.28 | sort -V | tail -n 1)" = GLIBC_2.28 ] || die "$1 needs $newest"
  say "  ${1##*/}: only the C library, $newest or newer"
}

test_sums() {
  (cd "$dist" && sha256sum --check --quiet SHA256SUMS)
  [ "$(wc -l <"$dist/SHA256SUMS")" -eq "$(find "$dist" -type f ! -name SHA256SUMS | wc -l)" ] || die "SHA256SUMS misses files"
}

test_deb() {
  tests/packaging/clean_root.sh "$dist/mongosluice_$version-1_amd64.deb"
}

test_arm64() {
  local deb=$dist/mongosluice_$version-1_arm64.deb
  [ "$(dpkg-deb -f "$deb" Architecture)" = arm64 ] || die "$deb is not for arm64"
  dpkg-deb -x "$deb" "$work/arm64"
  file "$work/arm64/usr/bin/mongosluice" | grep -q 'ARM aarch64' || die "the program is not for arm64"
  [ "$(on_arm64 "$arm64" "$work/arm64/usr/bin/mongosluice" --version)" = "mongosluice $version" ] || die "it does not run"
  (on_arm64 "$arm64" "$work/arm64/usr/bin/mongosluice" --check-config --config "$work/arm64/etc/mongosluice/mongosluice.yaml" >/dev/null)
  runs_in_front on_arm64 "$arm64" "$work/arm64/usr/bin/mongosluice" --schemas "$project/docker/example/schemas"
}

test_static() {
  local arch
  small_root
  for arch in x86_64 aarch64; do
    mkdir -p "$work/$arch"
    tar -xzf "$dist/mongosluice-$version-linux-$arch.tar.gz" -C "$work/$arch"
    needs_only_glibc "$work/$arch/mongosluice-$version-linux-$arch/bin/mongosluice"
    needs_only_glibc "$work/$arch/mongosluice-$version-linux-$arch/lib/libmongosluice-validator.so.$version"
  done
  cp -r "$work/x86_64/mongosluice-$version-linux-x86_64/." "$work/root/usr/local/"
  runs_in_front in_small_root mongosluice --schemas /schemas
  runs_in_front on_arm64 "$arm64" "$work/aarch64/mongosluice-$version-linux-aarch64/bin/mongosluice" \
    --schemas "$project/docker/example/schemas"
}

test_rpm() {
  local arch rpm
  small_root
  for arch in x86_64 aarch64; do
    rpm=$dist/mongosluice-$version-1.$arch.rpm
    [ "$(rpm -qp --qf '%{name} %{version} %{arch} %{license}' "$rpm")" = "mongosluice $version $arch Apache-2.0" ] ||
      die "$rpm: $(rpm -qpi "$rpm")"
    [ "$(rpm -qp --configfiles "$rpm" | xargs)" = "/etc/logrotate.d/mongosluice /etc/mongosluice/mongosluice.yaml" ] || die "$rpm: other files are configuration"
    rpm -qp --list "$rpm" >"$work/list"
    grep -qx /usr/lib/systemd/system/mongosluice.service "$work/list" || die "$rpm has no unit"
    ! grep -qxE '/etc|/usr/bin|/usr/share/man|/usr/lib/systemd/system' "$work/list" || die "$rpm owns folders of others"
    rpm -qp --requires "$rpm" >"$work/requires"
    ! grep -E '^lib(mongoc|bson|event|ssl|yaml|pcre|snappy|zstd)' "$work/requires" || die "$rpm needs libraries"
    ! grep -oE 'GLIBC_2\.(29|[3-9][0-9])' "$work/requires" || die "$rpm needs a newer C library"
  done
  # Debian's rpm database does not know Debian's own packages.
  rpm --root "$work/root" --initdb
  rpm --root "$work/root" --nodeps -i "$dist/mongosluice-$version-1.x86_64.rpm"
  rpm --root "$work/root" -V --nodeps mongosluice || die "the installed files differ from the package"
  [ "$(chroot "$work/root" stat -c '%U:%G %a' /etc/mongosluice/mongosluice.yaml)" = "root:mongosluice 640" ] ||
    die "the configuration is not for the proxy's eyes only"
  runs_in_front in_small_root setpriv --reuid mongosluice --regid mongosluice --clear-groups mongosluice --schemas /schemas
  rpm --root "$work/root" --nodeps -e mongosluice
  [ ! -e "$work/root/usr/bin/mongosluice" ] || die "removing left the program"
}

test_image() {
  "$venv/bin/python" - "$dist/mongosluice-$version-oci-amd64.tar" "$work/image" <<'END'
import io, json, sys, tarfile
archive, folder = sys.argv[1:]
with tarfile.open(archive) as image:
    def blob(digest): return image.extractfile("blobs/" + digest.replace(":", "/")).read()
    (entry,) = json.load(image.extractfile("index.json"))["manifests"]
    manifest = json.loads(blob(entry["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    assert config["architecture"] == "amd64" and config["config"]["User"] == "900:900", config
    assert config["config"]["Entrypoint"] == ["mongosluice"] and config["config"]["StopSignal"] == "SIGTERM", config
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(blob(layer["digest"]))) as files:
            files.extractall(folder, **({"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}))
END
  [ "$(chroot --userspec=900:900 "$work/image" mongosluice --version)" = "mongosluice $version" ] || die "it does not run"
  mkdir -p "$work/image/schemas"
  cp docker/example/schemas/*.json "$work/image/schemas/"
  runs_in_front exec_in "$work/image" mongosluice --schemas /schemas
}

exec_in() {
  local root=$1
  shift
  exec chroot --userspec=900:900 "$root" env -i PATH=/usr/bin:/bin MONGOC_DISABLE_SHM=1 "$@"
}

test_chart() {
  if [ ! -x "$cache/bin/helm" ]; then
    say "  Helm is not built (Go is missing): the chart is not rendered"
    return 0
  fi
  "$cache/bin/helm" lint --strict --quiet "$dist/mongosluice-$version.tgz" --set upstream=mongodb://mongo/
  "$cache/bin/helm" template demo "$dist/mongosluice-$version.tgz" --kube-version 1.31.0 \
    -f docker/helm/mongosluice/ci/gateway-values.yaml >"$work/chart.yaml"
  grep -q 'listen_port_count=3' "$work/chart.yaml" || die "the chart does not render as it should"
  tests/packaging/manifests.sh
}

test_wheels() {
  local tag wheel
  # The newest of the versions of this machine that have a wheel.
  tag=$("$venv/bin/python" -c 'import sys; print("cp3%d" % sys.version_info[1])')
  wheel=$(echo "$dist"/mongosluice-"$version"-"$tag"-*_x86_64.whl)
  "$venv/bin/python" -m venv "$work/venv"
  run_logged release-wheel "$work/venv/bin/pip" install "$wheel"
  [ "$("$work/venv/bin/mongosluice" --version)" = "mongosluice $version" ] || die "the wheel's program does not run"
  (cd / && "$work/venv/bin/python" -c 'import mongosluice, mongosluice._native') || die "the wheel cannot be imported"
  runs_in_front "$work/venv/bin/mongosluice" --schemas "$project/docker/example/schemas"
}

test_sbom() {
  "$cache/venv-release/bin/python" - "$dist"/*.cdx.json <<'END'
import json, pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
wanted = {"deb": "libmongoc-1.0-0", "static": "mongo-c-driver", "wheels": "pymongo", "image": "libc6"}
for name in sys.argv[1:]:
    text = pathlib.Path(name).read_text()
    assert (wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is None, (name, wrong)
    names = {one["name"] for one in json.loads(text)["components"]}
    assert wanted.pop(name.split("-")[-1].split(".")[0]) in names, (name, names)
    print(f"  {pathlib.Path(name).name}: {len(names)} components, valid CycloneDX 1.6", file=sys.stderr)
assert not wanted, f"missing: {wanted}"
END
}

[ $# -gt 0 ] || set -- sums deb arm64 static rpm image chart wheels sbom
for test; do
  say "--- test of $test"
  started=$SECONDS
  "test_$test"
  say "--- test of $test: passed after $((SECONDS - started)) s"
done
