#!/usr/bin/env bash
# Fetches and builds the test suites of other drivers, for tests/suites/compare.py, which calls this script.
#   scripts/build-driver-suites.sh c|go…
# c: the C driver of Debian's source package. go: the Go driver 1.17, from the registry of Go modules; needs Go 1.20.
# Everything goes to .cache/suites-built; the network is used only if something is missing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

go_version=v1.17.10
built=$cache/suites-built

# The system's package lists may have no sources, so these are lists of the script's own.
fetch_c_source() {
  local lists=$built/c/apt file options
  mkdir -p "$lists/parts" "$lists/lists/partial"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ ! -f "$file" ] || sed 's/^deb /deb-src /; s/^Types:.*/Types: deb-src/' "$file" >"$lists/parts/${file##*/}"
  done
  [ ! -f "$lists/parts/sources.list" ] || mv "$lists/parts/sources.list" "$lists/parts/main.list"
  options=(-q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$lists/parts"
    -o "Dir::State::Lists=$lists/lists" -o APT::Sandbox::User=root)
  run_logged suite-c-lists apt-get "${options[@]}" update &&
    (cd "$built/c" && run_logged suite-c-source apt-get "${options[@]}" source mongo-c-driver)
}

build_c() {
  local program=$built/c/build/src/libmongoc/test-libmongoc folder version
  [ ! -x "$program" ] || return 0
  say "fetching and building the test suite of the C driver"
  rm -rf "$built/c"
  fetch_c_source || die "Debian's source package mongo-c-driver cannot be fetched. The first run needs the network."
  folder=$(echo "$built"/c/mongo-c-driver-*/)
  version=${folder##*-}
  mv "$folder" "$built/c/source"
  run_logged suite-c-configure cmake -G Ninja -S "$built/c/source" -B "$built/c/build" -D "BUILD_VERSION=${version%/}" \
    -D CMAKE_BUILD_TYPE=Release -D ENABLE_SASL=OFF -D ENABLE_CLIENT_SIDE_ENCRYPTION=OFF \
    -D ENABLE_AUTOMATIC_INIT_AND_CLEANUP=OFF -D ENABLE_EXAMPLES=OFF
  run_logged suite-c-build ninja -C "$built/c/build" test-libmongoc
}

# The driver's own folder vendor/ lacks what its tests need.
build_go() {
  local program=$built/go/integration.test folder
  [ ! -x "$program" ] || return 0
  command -v go >/dev/null || die "the suite of the Go driver needs Go 1.20 or later: install it, or leave out --suite go"
  say "fetching and building the test suite of the Go driver"
  rm -rf "$built/go"
  mkdir -p "$built/go"
  folder=$(cd "$built/go" && go mod download -json "go.mongodb.org/mongo-driver@$go_version" |
    sed -n 's/^\s*"Dir": "\(.*\)",$/\1/p') || true
  [ -d "$folder" ] || die "the Go module mongo-driver $go_version cannot be fetched. The first run needs the network."
  cp -r --no-preserve=mode "$folder" "$built/go/source"
  rm -rf "$built/go/source/vendor"
  cd "$built/go/source"
  run_logged suite-go-build go test -mod=mod -c -o "$program" ./mongo/integration
}

[ $# -gt 0 ] || set -- usage
for suite; do
  case $suite in
    c | go) "build_$suite" ;;
    *) sed -n '2,5s/^# \?//p' "$0" >&2; die "name the suites: c, go" ;;
  esac
done
