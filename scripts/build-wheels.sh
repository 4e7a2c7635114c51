#!/usr/bin/env bash
# Builds the source archive and the wheels for release, into python/dist:
#   scripts/build-wheels.sh [--release] [--arch ARCH]… [--python PROGRAM]…
# --release: this commit must be the release that its tag names (scripts/check-release.py --tagged).
# ARCH is x86_64 or aarch64 (default: both). The script builds a wheel for each named CPython, or else for each of
# 3.10 to 3.14 that is found on the PATH or below ~/.pyenv. Only the headers are used; those of a version that is not
# found are looked for among the packages of Debian's development.
#
# The wheels are manylinux_2_28. static-libraries.sh builds the proxy in them.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/static-libraries.sh"
cd "$project"

policy=manylinux_2_28
dist=$project/python/dist
version=$(sed -n 's/^version = "\(.*\)"/\1/p' python/pyproject.toml)

architectures=() pythons=()
while [ $# -gt 0 ]; do
  case $1 in
    --release) "$project/scripts/check-release.py" --tagged >&2 || exit 1; shift ;;
    --arch) architectures+=("$2"); shift 2 ;;
    --python) pythons+=("$2"); shift 2 ;;
    *) sed -n '2,7s/^# \?//p' "$0"; die "no such option: $1" ;;
  esac
done
[ ${#architectures[@]} -gt 0 ] || architectures=(x86_64 aarch64)

has_headers() {
  "$1" -c 'import os, sysconfig; raise SystemExit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null
}

# The newest patch release of each minor version. An interpreter on the PATH comes before those of pyenv.
find_pythons() {
  local minor python found
  for minor in 10 11 12 13 14; do
    found=
    for python in $(command -v "python3.$minor") $(printf '%s\n' ~/.pyenv/versions/3."$minor".*/bin/python | sort -Vr); do
      has_headers "$python" && { found=$python; break; }
    done
    echo "${found:-debian:$minor}"
  done
}

# fetch_headers ARCH MINOR: gets the headers of a CPython that is not installed. Fails if Debian does not have them.
fetch_headers() {
  local arch=$1 minor=$2 folder=$work/$1/python3.$2
  [ ! -e "$folder/usr/include/python3.$minor/Python.h" ] || return 0
  mkdir -p "$folder"
  (cd "$folder" && SUITE=sid apt "$(debian_name "$arch")" update &&
    SUITE=sid apt "$(debian_name "$arch")" download "libpython3.$minor-dev" 2>/dev/null &&
    dpkg-deb -x "libpython3.$minor-dev_"*.deb .)
}

# make_wheel ARCH PYTHON BASE: takes the files of the base wheel, and adds the programs for that architecture and the
# extension for that CPython.
make_wheel() {
  local arch=$1 python=$2 base=$3 include tag folder
  if [[ $python = debian:* ]]; then
    tag=cp3${python#debian:}
    fetch_headers "$arch" "${python#debian:}" || { say "no headers of CPython 3.${python#debian:}: no wheel for it"; return 0; }
    include=("-I$work/$arch/python3.${python#debian:}/usr/include/python3.${python#debian:}"
      "-I$work/$arch/python3.${python#debian:}/usr/include")
  else
    tag=$("$python" -c 'import sys; print("cp3%d" % sys.version_info[1])')
    include=("-I$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')")
  fi
  folder=$work/packed/$arch-$tag
  mkdir -p "$folder"
  (cd "$folder" && run_logged wheel-unpack "$tools/bin/python" -m wheel unpack "$base")
  folder=$folder/mongosluice-$version
  rm -f "$folder"/mongosluice/_native.*.so
  cp "$work/$arch/proxy/src/main/mongosluice" "$folder/mongosluice/_proxy/mongosluice"
  cp "$work/$arch/proxy/src/schema/libmongosluice-validator.so.$version" "$folder/mongosluice/_proxy/libmongosluice-validator.so"
  run_logged "wheel-extension-$arch-$tag" "$work/$arch/toolchain/cc" -std=c17 -O3 -DNDEBUG -Wall -Wextra -fPIC -shared -s \
    -fvisibility=hidden "${include[@]}" python/native/*.c -o "$folder/mongosluice/_native.cpython-${tag#cp}-$arch-linux-gnu.so"
  sed -i "s/^Tag: .*/Tag: $tag-$tag-${policy}_$arch/" "$folder"/*.dist-info/WHEEL
  run_logged wheel-pack "$tools/bin/python" -m wheel pack -d "$dist" "$folder"
}

make_tools
fetch_sources
for arch in "${architectures[@]}"; do
  make_sysroot "$arch"
  make_proxy "$arch"
done
[ ${#pythons[@]} -gt 0 ] || mapfile -t pythons < <(find_pythons)
[ ${#pythons[@]} -gt 0 ] || die "no CPython headers found"

rm -rf "$dist" "$work/packed"
mkdir -p "$dist" "$work/packed"
# Builds the archive, and from it the base wheel of all others, so that the wheels hold the files that users get.
run_logged wheels-sdist env -C python "$tools/bin/python" setup.py -q egg_info --egg-base "$work/packed" sdist -d "$dist"
tar -xzf "$dist/mongosluice-$version.tar.gz" -C "$work/packed"
write_licences >"$work/packed/mongosluice-$version/LICENSE.third-party"
run_logged wheels-base env MONGOSLUICE_PROXY="$work/${architectures[0]}/proxy" "$tools/bin/python" -m pip wheel --no-deps \
  --no-build-isolation --no-index --no-cache-dir -w "$work/packed" "$work/packed/mongosluice-$version"
for arch in "${architectures[@]}"; do
  for python in "${pythons[@]}"; do
    make_wheel "$arch" "$python" "$(ls "$work"/packed/*.whl)"
  done
done

# auditwheel reports the oldest policy that a wheel complies with. It may be older than the promised policy.
for wheel in "$dist"/*.whl; do
  run_logged auditwheel "$tools/bin/auditwheel" show --json "$wheel"
  kept=$("$tools/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["overall_tag"])' <"$logs/auditwheel.log")
  minor=${kept#manylinux_2_}
  [[ "$kept.whl" = manylinux_2_*_"${wheel##*_28_}" && ${minor%%_*} -le ${policy##*_} ]] ||
    die "$wheel complies with $kept, not $policy"
done
run_logged twine "$tools/bin/twine" check --strict "$dist"/*
ls -l "$dist" >&2
