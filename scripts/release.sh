#!/usr/bin/env bash
# Makes all files of a release in build/dist, and tests each where it can run:
#   scripts/release.sh [--tagged] [--no-tests] [--dist FOLDER] [PART…]      default: all parts, then the tests
# --tagged: this commit must be the release that its tag names (scripts/check-release.py --tagged).
# --dist: another folder, without the tests.
# Parts:
#   deb      Debian package for amd64
#   arm64    Debian package for arm64, cross-built with Debian's compiler and libraries
#   static   tarballs and RPMs for x86_64 and aarch64. The program holds its libraries and needs only glibc 2.28
#   image    OCI image as an archive (amd64), of docker/Dockerfile; as root
#   chart    Helm chart
#   wheels   the Python package (scripts/build-wheels.sh)
#   sbom     CycloneDX lists of the components in the files above
#   sums     SHA256SUMS of all files
# It is written for Debian 12 on amd64, installs the Debian packages that it needs, and needs the network. The tests
# (tests/packaging/release.sh) make root file systems, so they run as root.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/static-libraries.sh"
cd "$project"

dist=$project/build/dist
version=$(sed -n 's/^project(mongosluice VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
chart=docker/helm/mongosluice

make_deb() {
  build_preset package package
  cp build/package/mongosluice_"$version"-1_amd64.deb "$dist/"
}

# Unpacks the libraries of Debian 12 for arm64, for the linker and for qemu.
make_arm64_root() {
  local root=$cache/arm64/root wanted=(libevent-dev libmongoc-dev libbson-dev libssl-dev libpcre2-dev libyaml-dev zlib1g-dev
    libsnappy-dev libzstd-dev uthash-dev) package
  [ "$(cat "$root/.made" 2>/dev/null)" != "${wanted[*]}" ] || return 0
  rm -rf "$root"
  mkdir -p "$root"
  apt arm64 update
  apt arm64 install --download-only --no-install-recommends -y "${wanted[@]}"
  for package in "$work/apt-bookworm-arm64/archives"/*.deb; do
    dpkg-deb -x "$package" "$root"
  done
  # An absolute link would lead out of the root, and the linker would take the static library beside it.
  local link
  while IFS= read -r link; do
    ln -sfr "$root$(readlink "$link")" "$link"
  done < <(find "$root" -type l -lname '/*')
  printf '%s' "${wanted[*]}" >"$root/.made"
}

make_arm64() {
  local root=$cache/arm64/root build=$cache/arm64/build depends
  make_arm64_root
  cat >"$cache/arm64/toolchain.cmake" <<END
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_STRIP /usr/bin/aarch64-linux-gnu-strip)
set(CMAKE_SYSROOT $root)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
END
  # Both packages come from the same libraries of the same Debian, so the dependencies are equal.
  depends=$(dpkg-deb -f "$dist/mongosluice_$version-1_amd64.deb" Depends)
  run_logged release-arm64-configure env PKG_CONFIG_SYSROOT_DIR="$root" \
    PKG_CONFIG_LIBDIR="$root/usr/lib/aarch64-linux-gnu/pkgconfig:$root/usr/share/pkgconfig" \
    cmake --preset package -B "$build" -DCMAKE_TOOLCHAIN_FILE="$cache/arm64/toolchain.cmake" \
    -DSLUICE_NATIVE_PROGRAM="$project/build/package/src/main/mongosluice" -DSLUICE_PACKAGE_DEPENDS="$depends"
  run_logged release-arm64 ninja -C "$build" package
  cmp <(needed "$build/src/main/mongosluice") <(needed build/package/src/main/mongosluice) ||
    die "the programs for arm64 and amd64 need different libraries, so the dependencies of one do not fit the other"
  cp "$build/mongosluice_$version-1_arm64.deb" "$dist/"
}

# The libraries that a program names, without the loader, whose name has the architecture in it.
needed() {
  readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | sort
}

# make_static ARCH: the tarball and the RPM.
make_static() {
  local arch=$1 build=$work/$1/release lib=$work/$1/sysroot/usr/lib/$1-linux-gnu name=mongosluice-$version-linux-$1 stage=$work/stage
  make_sysroot "$arch"
  say "building the program with its libraries for $arch"
  configure release "$arch" -S "$project" -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_SYSCONFDIR=/etc \
    -DCMAKE_INSTALL_LIBDIR=lib64 -DSLUICE_SYSTEMD_UNIT_DIR=/usr/lib/systemd/system -DSLUICE_PACKAGE=RPM \
    -DSLUICE_NATIVE_PROGRAM="$native" -DCMAKE_STRIP=/usr/bin/true \
    -DSNAPPY_LIBRARY="$lib/libsnappy.a;c++;$lib/libolder-glibc.a"
  write_licences >"$build/LICENSE.third-party"
  run_logged "release-static-$arch" ninja -C "$build"
  run_logged "release-rpm-$arch" env -C "$build" cpack -G RPM
  cp "$build/mongosluice-$version-1.$arch.rpm" "$dist/"

  rm -rf "$stage"
  mkdir -p "$stage/$name"
  run_logged "release-stage-$arch" env DESTDIR="$stage/root" cmake --install "$build"
  mv "$stage/root/usr/bin" "$stage/root/usr/include" "$stage/root/usr/share" "$stage/root/etc" "$stage/$name/"
  mv "$stage/root/usr/lib64" "$stage/$name/lib"
  mv "$stage/root/usr/lib/systemd" "$stage/$name/lib/"
  # The unit fits a tarball that is unpacked into /usr/local.
  sed -i 's|/usr/bin/mongosluice|/usr/local/bin/mongosluice|; s|/etc/mongosluice/|/usr/local&|' \
    "$stage/$name/lib/systemd/system/mongosluice.service"
  cp LICENSE README.md CHANGELOG.md "$stage/$name/"
  cp "$build/LICENSE.third-party" "$stage/$name/"
  pack "$stage" "$name" "$dist/$name.tar.gz"
}

# pack FOLDER NAME FILE: packs FOLDER/NAME. The same files make the same bytes.
pack() {
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$1" -cf - "$2" | gzip -9n >"$3"
}

make_statics() {
  local arch
  make_tools
  fetch_sources
  build_preset package mongosluice
  native=$project/build/package/src/main/mongosluice
  for arch in x86_64 aarch64; do make_static "$arch"; done
}

make_image() {
  tests/packaging/image.sh --archive "$dist/mongosluice-$version-oci-amd64.tar"
}

# Helm's own `package` writes the same: a folder with the chart's name, in a gzipped tar.
make_chart() {
  local stage=$cache/chart-stage
  rm -rf "$stage"
  mkdir -p "$stage"
  cp -r "$chart" "$stage/mongosluice"
  rm -rf "$stage/mongosluice/ci"
  pack "$stage" mongosluice "$dist/mongosluice-$version.tgz"
  rm -rf "$stage"
}

make_wheels() {
  scripts/build-wheels.sh
  cp python/dist/* "$dist/"
}

make_sbom() {
  scripts/write-sbom.py --dist "$dist" --libraries "$work"
}

make_sums() {
  (cd "$dist" && rm -f SHA256SUMS && sha256sum -- * >"$cache/SHA256SUMS" && mv "$cache/SHA256SUMS" .)
}

# Only the parts that need compilers of other machines, or roots, need their packages.
needed_packages() {
  local part more=
  [ "$tests" = 0 ] || more=release
  for part; do
    case $part in arm64 | static | image | wheels) more=release ;; esac
  done
  scripts/setup.sh build python packaging $more
}

tests=1 tagged=() parts=()
while [ $# -gt 0 ]; do
  case $1 in
    --tagged) tagged=(--tagged) ;;
    --no-tests) tests=0 ;;
    --dist) mkdir -p "$2"; dist=$(cd "$2" && pwd) tests=0; shift ;;
    deb | arm64 | static | image | chart | wheels | sbom | sums) parts+=("$1") ;;
    *) sed -n '2,17s/^# \?//p' "$0"; die "no such part: $1" ;;
  esac
  shift
done
[ ${#parts[@]} -gt 0 ] || parts=(deb arm64 static image chart wheels sbom sums)
needed_packages "${parts[@]}"
"$venv/bin/python" scripts/check-release.py "${tagged[@]}" >&2
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
[ ${#parts[@]} -lt 8 ] || rm -rf "$dist"
mkdir -p "$dist"
for part in "${parts[@]}"; do
  say "--- $part"
  started=$SECONDS
  case $part in
    static) make_statics ;;
    *) "make_$part" ;;
  esac
  say "--- $part: $((SECONDS - started)) s"
done
[ "$tests" = 0 ] || tests/packaging/release.sh
(cd "$dist" && ls -l) >&2
