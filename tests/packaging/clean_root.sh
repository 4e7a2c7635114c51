#!/usr/bin/env bash
# Installs the Debian package in a minimal Debian, runs it there as its own user between an application and a server,
# installs it again over an edited configuration, and purges it. Then lintian.
#   tests/packaging/clean_root.sh [PACKAGE]       default: the package of this tree, which it builds
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need lintian setpriv
cd "$project"
package=${1:-}
if [ -z "$package" ]; then
  build_preset package package
  package=$(echo build/package/mongosluice_*.deb)
fi
root=$(mktemp -d "$cache/root-XXXXXX")
upstream_pid='' proxy_pid=''
clean_up() {
  [ -z "$proxy_pid" ] || kill "$proxy_pid" 2>/dev/null || true
  [ -z "$upstream_pid" ] || kill -KILL "$upstream_pid" 2>/dev/null || true
  wait 2>/dev/null
  rm -rf "$root" "$root-upstream"
}
trap clean_up EXIT
clean_root "$root"
cp /etc/resolv.conf "$root/etc/"
cp "$package" "$root/tmp/mongosluice.deb"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

say "installing $package"
run_logged root-update in_root apt-get -q update
run_logged root-install in_root apt-get -q install -y --no-install-recommends /tmp/mongosluice.deb
in_root mongosluice --version
[ "$(in_root stat -c '%U:%G %a' /etc/mongosluice/mongosluice.yaml)" = "root:mongosluice 640" ] ||
  die "the configuration is not for the proxy's eyes only"
in_root setpriv --reuid mongosluice --regid mongosluice --clear-groups \
  mongosluice --check-config --config /etc/mongosluice/mongosluice.yaml >/dev/null

say "running it as its user, with the configuration of the systemd unit"
mkdir "$root-upstream"
start_upstream "$root-upstream"
port=$(free_port)
sed -i -e "s|^upstream: .*|upstream: mongodb://127.0.0.1:$upstream_port/?replicaSet=secantus|" \
  -e "s|^listen: .*|listen: 127.0.0.1:$port|" "$root/etc/mongosluice/mongosluice.yaml"
cp docker/example/schemas/*.json "$root/etc/mongosluice/schemas/"
chroot "$root" env -i PATH=/usr/bin:/bin MONGOC_DISABLE_SHM=1 \
  setpriv --reuid mongosluice --regid mongosluice --clear-groups --no-new-privs \
  mongosluice --config /etc/mongosluice/mongosluice.yaml --schemas /etc/mongosluice/schemas >"$logs/root-proxy.log" 2>&1 &
proxy_pid=$!
wait_for_port "$port"
example_app "$port" | tee "$root-upstream/app"
grep -qx 'refused with code 121: the total is negative' "$root-upstream/app" || die "the schema was not enforced"
kill -TERM "$proxy_pid"
status=0
wait "$proxy_pid" || status=$?
proxy_pid=''
[ "$status" -eq 0 ] || die "the proxy ended with status $status: $logs/root-proxy.log"

say "installing it again, and purging it"
run_logged root-again in_root apt-get -q install -y --reinstall /tmp/mongosluice.deb
grep -q "listen: 127.0.0.1:$port" "$root/etc/mongosluice/mongosluice.yaml" || die "the edited configuration is gone"
run_logged root-remove in_root apt-get -q remove -y mongosluice
[ -f "$root/etc/mongosluice/mongosluice.yaml" ] || die "removing took the configuration away"
rm "$root"/etc/mongosluice/schemas/*.json
run_logged root-purge in_root apt-get -q purge -y mongosluice
left=$(find "$root" -xdev -name '*mongosluice*' ! -path "$root/tmp/*" ! -path "$root/var/log/*")
[ -z "$left" ] || die "left behind: $left"

say "lintian"
# one package for program, library and header; no bug of Debian's closed by it; systemctl where it runs;
# the address of whoever builds it is theirs to set (SLUICE_PACKAGE_CONTACT); the pages link to CHANGELOG.md by this name
lintian --allow-root --fail-on error,warning --suppress-tags \
  bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs,link-to-shared-library-in-wrong-package,maintainer-script-calls-systemctl,package-name-doesnt-match-sonames,wrong-name-for-upstream-changelog \
  "$package"
say "installed, run, installed again, removed and purged: all of it passed"
