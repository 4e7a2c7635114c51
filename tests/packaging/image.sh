#!/usr/bin/env bash
# Builds docker/Dockerfile with buildah and runs what is in the image: as its user, with a read-only root, the health
# check included, an application in front and a server behind.
#   tests/packaging/image.sh [--archive FILE]
# --archive: also writes the image as an OCI archive.
# It uses no image registry: debootstrap makes the image debian:bookworm-slim. Containers are chroots with mount and
# process namespaces of their own, and the network of the host.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need buildah unshare setpriv
archive=
[ "${1:-}" != --archive ] || archive=$2
work=$(mktemp -d "$cache/image-XXXXXX")
store=(buildah --root "$work/containers" --runroot "$work/run" --storage-driver vfs)
export BUILDAH_ISOLATION=chroot
upstream_pid='' proxy_pid=''
clean_up() {
  [ -z "$proxy_pid" ] || kill "$proxy_pid" 2>/dev/null || true
  [ -z "$upstream_pid" ] || kill -KILL "$upstream_pid" 2>/dev/null || true
  wait 2>/dev/null
  "${store[@]}" rm --all >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

clean_root "$work/debian"
base=$("${store[@]}" from scratch)
"${store[@]}" add -q "$base" "$work/debian" / >/dev/null
"${store[@]}" config --cmd bash "$base"
run_logged image-base "${store[@]}" commit "$base" localhost/debian:bookworm-slim
"${store[@]}" rm "$base" >/dev/null
rm -rf "$work/debian"

say "building the image"
run_logged image-build "${store[@]}" bud --pull-never --format docker --layers=false \
  --ignorefile docker/Dockerfile.dockerignore -f docker/Dockerfile -t mongosluice "$project"
container=$("${store[@]}" from --pull-never localhost/mongosluice)
root=$("${store[@]}" mount "$container")
config() {
  "${store[@]}" inspect --type image localhost/mongosluice |
    "$venv/bin/python" -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["Docker"]["config"][sys.argv[1]]))' "$1"
}
say "user $(config User), entry point $(config Entrypoint), command $(config Cmd)"
say "health check $(config Healthcheck)"
[ "$(config User)" = '"900:900"' ] || die "the image does not run as 900:900"
say "$(du -sm "$root" | cut -f1) MB unpacked, $(du -sk "$root/usr/bin/mongosluice" | cut -f1) kB of it the program"

# in_image COMMAND…: in the image as its user; the root file system is read-only, and the command is
# process 1, as in a container.
in_image() {
  exec unshare --mount --pid --fork --kill-child --propagation private bash -c '
    root=$1; shift
    mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" && mount -t proc proc "$root/proc"
    exec setpriv --no-new-privs chroot --userspec=900:900 --groups= "$root" \
      env -i PATH=/usr/local/bin:/usr/bin:/bin MONGOC_DISABLE_SHM=1 "$@"' in_image "$root" "$@"
}

(in_image sh -c 'id -u; touch /touched 2>&1 || true') >"$work/who"
grep -qx 900 "$work/who" && grep -q 'Read-only file system' "$work/who" || die "$(cat "$work/who")"
(in_image mongosluice --version)

mkdir -p "$root/etc/mongosluice/schemas"
cp "$project"/docker/example/schemas/*.json "$root/etc/mongosluice/schemas/"
start_upstream "$work"
port=$(free_port) admin=$(free_port)
(in_image mongosluice --upstream "mongodb://127.0.0.1:$upstream_port/?replicaSet=secantus" \
  --listen "127.0.0.1:$port" --admin "127.0.0.1:$admin" --schemas /etc/mongosluice/schemas) \
  >"$logs/image-proxy.log" 2>&1 &
proxy_pid=$!
wait_for_port "$port"

say "the example application, through the proxy of the image"
example_app "$port" | tee "$work/app"
grep -qx 'refused with code 121: the total is negative' "$work/app" || die "the schema was not enforced"

say "the health check"
mapfile -t probe < <(config Healthcheck | "$venv/bin/python" -c '
import json, sys
print("\n".join(json.load(sys.stdin)["Test"][1:]))')
(in_image "${probe[@]/#127.0.0.1:9117/127.0.0.1:$admin}") || die "the health check fails while the proxy is up"
kill -KILL "$upstream_pid"
wait "$upstream_pid" 2>/dev/null || true
upstream_pid=''
healthy=1
for ((i = 0; i < 300 && healthy; i++)); do
  (in_image "${probe[@]/#127.0.0.1:9117/127.0.0.1:$admin}") >/dev/null 2>&1 && sleep 0.1 || healthy=0
done
[ "$healthy" -eq 0 ] || die "the health check passes although the upstream is gone"

say "TERM, as docker stop sends it"
kill -TERM "$(pgrep -P "$proxy_pid")"
status=0
wait "$proxy_pid" || status=$?
proxy_pid=''
[ "$status" -eq 0 ] || die "the proxy ended with status $status: $logs/image-proxy.log"
if [ -n "$archive" ]; then
  rm -f "$archive"
  run_logged image-archive "${store[@]}" push --format oci localhost/mongosluice \
    "oci-archive:$archive:mongosluice:$(sed -n 's/^project(mongosluice VERSION \([0-9.]*\).*/\1/p' "$project/CMakeLists.txt")"
fi
say "the image was built and run: all of it passed"
