#!/usr/bin/env bash
# Installs the packages that the build, the demo and the tests need, if they are missing.
#   scripts/setup.sh [PART…]      parts: build, python (default: these two),
#                                 interpreter  Python without packages, for the build of the tests
#                                 checks   clang and its tools, debuggers' symbols for reports
#                                 beanie1  a second Python environment, with Beanie 1.30
#                                 suites   the sources of PyMongo and Motor, for their test suites
#                                 promtool  of Prometheus, for the tests of the metrics
#                                 packaging  the tools for the Debian package, and promtool
#                                 browser  Chromium, for the tests of the dashboard
#                                 bench    HAProxy, nginx and perf, which scripts/bench.sh measures beside the proxy
#                                 release  what scripts/release.sh needs, and Helm if Go is installed
#                                 site     MkDocs, for the pages (scripts/build-site.sh)
# apt installs the Debian packages (as root, or with sudo). Python packages go to .venv, all else to .cache. The
# script does not use the network if nothing is missing. It is written for Debian 12.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Uses the system's interpreter, not one of a version manager: the environment must keep working when the version
# manager changes versions.
python=${PYTHON:-/usr/bin/python3}

packages_build=(build-essential cmake ninja-build pkg-config libevent-dev libmongoc-dev libbson-dev
  libssl-dev libpcre2-dev libyaml-dev zlib1g-dev libsnappy-dev libzstd-dev uthash-dev
  libcmocka-dev)
packages_python=(python3 python3-venv python3-dev)
packages_packaging=(file fish groff-base man-db rpm systemd zsh)
packages_release=(binutils buildah debootstrap dpkg-dev gcc-aarch64-linux-gnu lintian qemu-user-static util-linux)
packages_bench=(haproxy libnginx-mod-stream linux-perf nginx-light)
packages_browser=(chromium chromium-driver fonts-dejavu-core)
packages_checks=(faketime clang clang-format clang-tidy curl libclang-rt-14-dev llvm openssl spin)

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# has WORD LIST…
has() {
  local wanted=$1 part
  shift
  for part; do [ "$part" != "$wanted" ] || return 0; done
  return 1
}

# Runs a command that changes the system, as root.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --preserve-env=http_proxy,https_proxy,no_proxy "$@"
  else
    die "neither root nor sudo is available: as root run: $*"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# Once in a run.
update_package_lists() {
  [ -z "${lists_are_new:-}" ] || return 0
  run_logged apt-update apt_get update && lists_are_new=1
}

install_packages() {
  local missing=() package
  [ $# -gt 0 ] || return 0
  command -v dpkg-query >/dev/null ||
    die "this system has no dpkg; install the equivalents of these Debian packages: $*"
  for package; do
    has "$package" "${missing[@]}" || is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  update_package_lists ||
    die "the package lists cannot be read. The first run needs the network; later ones do not."
  run_logged apt-install apt_get install -y --no-install-recommends "${missing[@]}" ||
    die "apt could not install: ${missing[*]}"
}

# make_venv FOLDER REQUIREMENTS: makes the environment anew if the requirements, the interpreter or the folder
# changed.
make_venv() {
  local folder=$1 requirements=$2 stamp
  stamp=$({ cat "$requirements"; "$python" --version; echo "$folder"; } | sha256sum)
  [ "$(cat "$folder/.installed" 2>/dev/null)" != "$stamp" ] || return 0
  say "making the Python environment ${folder#"$project"/}"
  rm -rf "$folder"
  run_logged "venv-${folder##*/}" "$python" -m venv "$folder" || die "no environment in $folder"
  PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    run_logged "pip-${folder##*/}" "$folder/bin/python" -m pip install -r "$requirements" ||
    die "the Python packages cannot be installed. The first run needs the network; later ones do not."
  printf '%s' "$stamp" >"$folder/.installed"
}

# The suites run against the installed driver, so the driver itself is removed from each sdist.
fetch_suites() {
  local sums=$project/tests/suites/sdists.sha256 stamp
  stamp=$(sha256sum <"$sums")
  [ "$(cat "$suites/.unpacked" 2>/dev/null)" != "$stamp" ] || return 0
  say "fetching the test suites of PyMongo and Motor"
  mkdir -p "$cache/sdist"
  if ! (cd "$cache/sdist" && sha256sum --check --status "$sums" 2>/dev/null); then
    PIP_DISABLE_PIP_VERSION_CHECK=1 run_logged pip-suites "$venv/bin/python" -m pip download \
      --no-deps --no-binary pymongo,motor -d "$cache/sdist" pymongo==4.20.0 motor==3.7.1 ||
      die "the sdists of PyMongo and Motor cannot be fetched. The first run needs the network."
    (cd "$cache/sdist" && sha256sum --check --quiet "$sums") ||
      die "the sdists in $cache/sdist are not the ones of $sums"
  fi
  rm -rf "$suites"
  mkdir -p "$suites"
  local archive
  for archive in "$cache"/sdist/*.tar.gz; do
    tar -xzf "$archive" -C "$suites" --no-same-owner
  done
  rm -rf "$suites"/pymongo-*/{pymongo,bson,gridfs} "$suites"/motor-*/motor
  printf '%s' "$stamp" >"$suites/.unpacked"
}

# Extracts one program, because the installed package would start a server.
fetch_promtool() {
  [ ! -x "$cache/bin/promtool" ] || return 0
  say "fetching promtool"
  rm -rf "$cache/prometheus"
  mkdir -p "$cache/prometheus" "$cache/bin"
  update_package_lists
  (cd "$cache/prometheus" && run_logged apt-download apt-get -q download prometheus) ||
    die "Debian's package prometheus cannot be fetched. The first run needs the network."
  dpkg-deb -x "$cache"/prometheus/*.deb "$cache/prometheus/files"
  mv "$cache/prometheus/files/usr/bin/promtool" "$cache/bin/"
  rm -rf "$cache/prometheus"
}

# Debian has no package of Helm. Without Go, the tests that render the chart are left out.
build_helm() {
  [ ! -x "$cache/bin/helm" ] || return 0
  if ! command -v go >/dev/null; then
    say "Go is not installed: without it there is no Helm, and the chart is not rendered"
    return 0
  fi
  say "building Helm"
  GOBIN=$cache/bin run_logged helm go install helm.sh/helm/v3/cmd/helm@v3.16.4
}

# The environments of Python packages, each by a process of its own.
start_environments() {
  local part main=0
  for part; do
    case $part in
      python | suites) main=1 ;;
      beanie1) make_venv "$venv_beanie1" "$project/scripts/requirements-beanie1.txt" & jobs+=($!) ;;
      release) make_venv "$cache/venv-release" "$project/scripts/requirements-release.txt" & jobs+=($!) ;;
      site) make_venv "$venv_site" "$project/scripts/requirements-site.txt" & jobs+=($!) ;;
    esac
  done
  [ $main = 1 ] || return 0
  { make_venv "$venv" "$project/scripts/requirements.txt" && if has suites "$@"; then fetch_suites; fi; } &
  jobs+=($!)
}

[ $# -gt 0 ] || set -- build python
first=() packages=() jobs=()
for part; do
  case $part in
    build) first+=("${packages_build[@]}") ;;
    bench) packages+=("${packages_bench[@]}") ;;
    browser) packages+=("${packages_browser[@]}") ;;
    checks) packages+=("${packages_checks[@]}") ;;
    packaging) packages+=("${packages_packaging[@]}") ;;
    release) packages+=("${packages_release[@]}") first+=("${packages_python[@]}") ;;
    python | interpreter | beanie1 | suites | site) first+=("${packages_python[@]}") ;;
    promtool) ;;
    *) sed -n '2,15s/^# \?//p' "$0"; die "no such part: $part" ;;
  esac
done

exec 9>"$cache/setup.lock"  # Two scripts that start at the same time must not install twice.
command -v flock >/dev/null && flock 9
install_packages "${first[@]}"
start_environments "$@"
install_packages "${packages[@]}"
if has packaging "$@" || has promtool "$@"; then fetch_promtool; fi
if has release "$@"; then build_helm; fi
for job in "${jobs[@]}"; do wait "$job" || exit 1; done
