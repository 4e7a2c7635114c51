#!/usr/bin/env bash
# Shows that the simulation can fail: plants one bug after another (tests/simulation/mutants) in a copy of the sources,
# and runs fresh histories until one fails.
#   scripts/simulate-mutants.sh [--seconds N] [NAME…]     default: all but rare/NAME, up to 60 seconds each
# Prints for each bug the check that found it, its seed and the seconds; exit status 1 if one was not found.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seconds=60
if [ "${1:-}" = --seconds ]; then
  seconds=$2
  shift 2
fi
mutants=$project/tests/simulation/mutants
[ $# -gt 0 ] || set -- $(basename -s .patch -a "$mutants"/*.patch)

"$project/scripts/setup.sh" build
copy=$cache/mutants
mkdir -p "$copy"
# the build folder of the copy stays, so that only changed files are compiled again
rm -rf "$copy/source.new"
mkdir "$copy/source.new"
git -C "$project" ls-files -z -- CMakeLists.txt CMakePresets.json cmake src include config tests docker |
  (cd "$project" && xargs -0 cp --parents -t "$copy/source.new")
# a file that did not change keeps its time, also if its object was last built with a bug
if [ -d "$copy/source" ]; then
  (cd "$copy/source.new" && find . -name '*.[ch]' -print | while read -r file; do
    ! cmp -s "$file" "$copy/source/$file" || touch -r "$copy/source/$file" "$file"
  done)
fi
rm -rf "$copy/source"
mv "$copy/source.new" "$copy/source"

launcher=()
! command -v ccache >/dev/null || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
configure() {
  (cd "$copy/source" && cmake -S . -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo "${launcher[@]}" >/dev/null)
}

build() {
  cmake --build "$copy/build" --target simulate >"$copy/build.log" 2>&1 || { tail -20 "$copy/build.log" >&2; return 1; }
}

# The bug's line, in the words of its patch, and what found it.
run_mutant() {
  local name=$1 patch=$mutants/$1.patch failed=0 began
  [ -e "$patch" ] || die "no such mutant: $name"
  if ! patch -s -F0 --dry-run -p1 -d "$copy/source" <"$patch" >/dev/null; then
    echo "no patch    $name: the code has changed, and $patch does not apply"
    return 1
  fi
  patch -s -F0 -p1 -d "$copy/source" <"$patch"
  if build; then
    began=$SECONDS
    if "$copy/build/tests/simulation/simulate" --seconds "$seconds" --no-shrink >"$copy/output" 2>&1; then
      failed=1
      echo "not found   $name: $(head -1 "$patch")"
    else
      echo "found       $name after $((SECONDS - began)) s: $(grep -m1 '^failed' "$copy/output" || echo "the program broke off: an assertion or a crash")"
    fi
  else
    failed=1
    echo "no build    $name"
  fi
  patch -s -F0 -R -p1 -d "$copy/source" <"$patch"
  return $failed
}

configure
missed=0
for name; do
  run_mutant "$name" || missed=$((missed + 1))
done
echo "mutants: $(($# - missed)) of $# found"
[ "$missed" = 0 ]
