# Shared functions of the scripts in this folder; source this file. The scripts run as root, by hand: they need the
# network (apt only), minutes, and a few hundred megabytes in .cache.
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
[ "$(id -u)" -eq 0 ] || die "as root: this makes a root file system"
umask 022

need() {
  local program missing=()
  for program; do command -v "$program" >/dev/null || missing+=("$program"); done
  [ ${#missing[@]} -eq 0 ] || die "not installed: ${missing[*]} (Debian: apt-get install --no-install-recommends debootstrap buildah lintian)"
}

# clean_root FOLDER: unpacks a minimal Debian 12, which is made once and kept as an archive.
clean_root() {
  local archive=$cache/debian-bookworm.tar
  if [ ! -f "$archive" ]; then
    need debootstrap
    say "making a minimal Debian 12 (once)"
    rm -rf "$cache/debootstrap"
    run_logged debootstrap debootstrap --variant=minbase bookworm "$cache/debootstrap"
    rm -rf "$cache"/debootstrap/var/{cache/apt/archives,lib/apt/lists}/*
    tar -C "$cache/debootstrap" -cf "$archive.new" .
    mv "$archive.new" "$archive"
    rm -rf "$cache/debootstrap"
  fi
  rm -rf "$1"
  mkdir -p "$1"
  tar -C "$1" -xf "$archive"
}

# start_upstream FOLDER: SecantusDB on a free port; sets upstream_port and upstream_pid.
start_upstream() {
  upstream_port=$(free_port)
  : >"$1/empty.toml"
  "$venv/bin/secantusd-py" --config "$1/empty.toml" --storage-path "$1/data" --port "$upstream_port" \
    --cache-size 256M >"$logs/secantus.log" 2>&1 &
  upstream_pid=$!
  wait_for_port "$upstream_port"
}

free_port() {
  "$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

wait_for_port() {
  local i
  for ((i = 0; i < 200; i++)); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
    sleep 0.1
  done
  die "nothing listens on port $1"
}

# example_app PORT: the example application, as a client of that port.
example_app() {
  MONGODB_URI="mongodb://127.0.0.1:$1/shop?replicaSet=secantus&serverSelectionTimeoutMS=10000" \
    "$venv/bin/python" "$project/docker/example/app.py"
}
