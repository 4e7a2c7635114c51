# The proxy with its libraries inside, for the wheels (build-wheels.sh) and for the tarball and the RPM (release.sh).
# Source this file after lib.sh.
#
# It needs only the C library, glibc 2.28 or newer: zig's compiler knows that version. What the proxy is linked to comes
# from Debian, as static libraries of its -dev packages and, for libmongoc and snappy, as sources; they are unpacked
# below .cache/wheels and not installed. libmongoc is built without SASL (no GSSAPI) and without ICU (no passwords
# beyond ASCII with SCRAM-SHA-256), the proxy's own login excepted.

glibc=2.28
work=$cache/wheels
tools=$work/tools
packages=(libevent-dev libpcre2-dev libssl-dev libyaml-dev libzstd-dev uthash-dev zlib1g-dev)
sources=(mongo-c-driver snappy)

debian_name() {
  case $1 in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) die "no such architecture: $1" ;;
  esac
}

make_tools() {
  local wanted="ziglang==0.17.1 auditwheel==6.8.2 twine==7.0.0 setuptools==84.2.1 wheel"
  [ "$(cat "$tools/.installed" 2>/dev/null)" != "$wanted" ] || return 0
  rm -rf "$tools"
  run_logged wheel-tools-venv /usr/bin/python3 -m venv "$tools"
  # shellcheck disable=SC2086  # words
  PIP_DISABLE_PIP_VERSION_CHECK=1 run_logged wheel-tools "$tools/bin/python" -m pip install $wanted
  printf '%s' "$wanted" >"$tools/.installed"
}

# apt ARCH COMMAND…: runs apt with separate package lists, for any architecture. SUITE is bookworm unless set.
apt() {
  local suite=${SUITE:-bookworm} root architecture=$1 site="signed-by=/usr/share/keyrings/debian-archive-keyring.gpg" kind
  shift
  root=$work/apt-$suite-$architecture
  mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/state"
  touch "$root/status"
  for kind in deb deb-src; do
    echo "$kind [$site] http://deb.debian.org/debian $suite main"
    [ "$suite" = sid ] || echo "$kind [$site] http://deb.debian.org/debian-security $suite-security main"
  done >"$root/sources.list"
  run_logged "wheels-apt" apt-get -q -o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture" \
    -o "Dir::Etc::sourcelist=$root/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State=$root/state" \
    -o "Dir::State::lists=$root/lists" -o "Dir::State::status=$root/status" -o "Dir::Cache=$root" \
    -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}

fetch_sources() {
  local name
  [ ! -e "$work/sources/.unpacked" ] || return 0
  rm -rf "$work/sources"
  mkdir -p "$work/sources"
  apt amd64 update
  (cd "$work/sources" && apt amd64 source --download-only "${sources[@]}")
  for name in "${sources[@]}"; do
    # Snappy's own sources, without Debian's changes, which are for a shared library.
    (cd "$work/sources" && run_logged "unpack-$name" dpkg-source --no-check \
      $([ "$name" != snappy ] || echo --skip-patches) -x "$name"_*.dsc "$name")
  done
  touch "$work/sources/.unpacked"
}

# Makes the toolchain of an architecture: zig under the names of compilers, and a toolchain file for CMake.
make_toolchain() {
  local arch=$1 folder=$work/$1/toolchain sysroot=$work/$1/sysroot zig part
  zig=$("$tools/bin/python" -c 'import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).with_name("zig"))')
  mkdir -p "$folder"
  for part in cc c++; do
    printf '#!/bin/sh\nexec "%s" %s -target %s-linux-gnu.%s -fno-sanitize=undefined "$@"\n' "$zig" "$part" "$arch" "$glibc" \
      >"$folder/$part"
  done
  for part in ar ranlib; do
    printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" "$part" >"$folder/$part"
  done
  chmod +x "$folder"/*
  cat >"$folder/toolchain.cmake" <<END
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR $arch)
set(CMAKE_C_COMPILER $folder/cc)
set(CMAKE_CXX_COMPILER $folder/c++)
set(CMAKE_AR $folder/ar)
set(CMAKE_RANLIB $folder/ranlib)
set(CMAKE_C_FLAGS_INIT "-isystem $sysroot/usr/include -isystem $sysroot/usr/include/$arch-linux-gnu")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-pie -s")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-s")
set(CMAKE_LIBRARY_ARCHITECTURE $arch-linux-gnu)
set(CMAKE_FIND_ROOT_PATH $sysroot)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
END
}

# configure NAME ARCH OPTION…: configures a CMake project for the target's C library.
configure() {
  local name=$1 arch=$2
  shift 2
  run_logged "wheels-$name-$arch" env PKG_CONFIG_LIBDIR="$work/$arch/sysroot/usr/lib/$arch-linux-gnu/pkgconfig" \
    PKG_CONFIG_SYSROOT_DIR="$work/$arch/sysroot" cmake -G Ninja -B "$work/$arch/$name" \
    -DCMAKE_TOOLCHAIN_FILE="$work/$arch/toolchain/toolchain.cmake" -DCMAKE_BUILD_TYPE=Release "$@"
}

# Builds the libraries of an architecture into its sysroot.
make_sysroot() {
  local arch=$1 sysroot=$work/$1/sysroot lib=$work/$1/sysroot/usr/lib/$1-linux-gnu package stamp
  stamp=$({ declare -f make_toolchain configure make_sysroot; cat scripts/wheels/older-glibc.c; echo "${packages[@]}"; } | sha256sum)
  [ "$(cat "$work/$arch/.made" 2>/dev/null)" != "$stamp" ] || return 0
  say "making the libraries for $arch"
  rm -rf "${work:?}/$arch"
  mkdir -p "$work/$arch/deb" "$sysroot"
  make_toolchain "$arch"
  apt "$(debian_name "$arch")" update
  (cd "$work/$arch/deb" && apt "$(debian_name "$arch")" download "${packages[@]}")
  for package in "$work/$arch/deb"/*.deb; do
    dpkg-deb -x "$package" "$sysroot"
  done
  find "$sysroot" -name '*.so*' -delete

  configure mongoc "$arch" -S "$work/sources/mongo-c-driver" -DENABLE_STATIC=ON -DENABLE_TESTS=OFF -DENABLE_EXAMPLES=OFF \
    -DENABLE_UNINSTALL=OFF -DENABLE_SSL=OPENSSL -DENABLE_SRV=ON -DENABLE_SASL=OFF -DENABLE_ICU=OFF -DENABLE_SNAPPY=OFF \
    -DENABLE_ZSTD=OFF -DENABLE_ZLIB=OFF -DENABLE_CLIENT_SIDE_ENCRYPTION=OFF -DENABLE_MONGODB_AWS_AUTH=OFF \
    -DENABLE_AUTOMATIC_INIT_AND_CLEANUP=OFF -DENABLE_EXTRA_ALIGNMENT=OFF
  run_logged "wheels-mongoc-$arch" ninja -C "$work/$arch/mongoc" mongoc_static bson_static
  local name
  for name in bson mongoc; do
    mkdir -p "$sysroot/usr/include/lib$name-1.0/$name"
    cp "$work/sources/mongo-c-driver/src/lib$name/src/$name"/*.h "$work/$arch/mongoc/src/lib$name/src/$name"/*.h \
      "$sysroot/usr/include/lib$name-1.0/$name"
    cp "$work/$arch/mongoc/src/lib$name/lib$name-static-1.0.a" "$lib"
  done
  cat >"$lib/pkgconfig/libbson-1.0.pc" <<END
Name: libbson
Description: libbson
Version: $(cat "$work/sources/mongo-c-driver/VERSION_CURRENT")
Libs: -L/usr/lib/$arch-linux-gnu -lbson-static-1.0
Cflags: -I/usr/include/libbson-1.0 -DBSON_STATIC
END
  sed 's/libbson/libmongoc/g; s/-lbson-static-1.0/-lmongoc-static-1.0 -lresolv/; s/BSON_STATIC/MONGOC_STATIC/' \
    "$lib/pkgconfig/libbson-1.0.pc" >"$lib/pkgconfig/libmongoc-1.0.pc"

  configure snappy "$arch" -S "$work/sources/snappy" -DSNAPPY_BUILD_TESTS=OFF -DSNAPPY_BUILD_BENCHMARKS=OFF -DBUILD_SHARED_LIBS=OFF
  run_logged "wheels-snappy-$arch" ninja -C "$work/$arch/snappy"
  cp "$work/$arch/snappy/libsnappy.a" "$lib"
  cp "$work/sources/snappy"/snappy*.h "$work/$arch/snappy"/snappy*.h "$sysroot/usr/include"

  "$work/$arch/toolchain/cc" -O2 -fPIC -Wall -Wextra -Werror -c scripts/wheels/older-glibc.c -o "$work/$arch/older-glibc.o"
  "$work/$arch/toolchain/ar" rcs "$lib/libolder-glibc.a" "$work/$arch/older-glibc.o"
  printf '%s' "$stamp" >"$work/$arch/.made"
}

make_proxy() {
  local arch=$1 lib=$work/$1/sysroot/usr/lib/$1-linux-gnu
  say "building the proxy for $arch"
  configure proxy "$arch" -S "$project" -DBUILD_TESTING=OFF -DSNAPPY_LIBRARY="$lib/libsnappy.a;c++;$lib/libolder-glibc.a"
  run_logged "wheels-proxy-$arch" ninja -C "$work/$arch/proxy" mongosluice sluice_validator
}

# A linked library's licence must accompany the binary.
write_licences() {
  local file
  for file in "$work"/x86_64/sysroot/usr/share/doc/*/copyright "$work"/aarch64/sysroot/usr/share/doc/*/copyright \
    "$work"/sources/mongo-c-driver/{COPYING,THIRD_PARTY_NOTICES} "$work"/sources/snappy/COPYING; do
    [ ! -f "$file" ] || printf '%s\n\n' "--- ${file#"$work"/}" "$(cat "$file")"
  done
}
