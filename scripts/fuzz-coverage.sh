#!/usr/bin/env bash
# Replays the corpus of each fuzz target and prints its share of covered lines, of the files that it is for
# (tests/fuzz/coverage.txt).
#   scripts/fuzz-coverage.sh [--lines] [TARGET…]    default: all targets
# The corpora are those of tests/fuzz/corpus and those that scripts/fuzz.sh left in .cache/fuzz. --lines prints each line
# that is not covered and whose reason is not in tests/fuzz/uncovered.txt. Fails if a target covers less than 95 % of the
# lines without a reason. With all targets, fails too if a file has neither a target nor a reason to have none.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

options=() wanted=()
for argument; do
  case $argument in
  --lines) options+=("$argument") ;;
  -*) sed -n '2,7s/^# \?//p' "$0" && die "no such option: $argument" ;;
  *) wanted+=("$argument") ;;
  esac
done

"$project/scripts/setup.sh" build checks
build_preset fuzz-coverage fuzz_targets
found=$cache/fuzz-coverage
rm -rf "$found" && mkdir -p "$found"

# cover TARGET NAME: writes the counts of the lines of src/ to a file.
cover() {
  local corpora=("$project/tests/fuzz/corpus/$2")
  [ ! -d "$cache/fuzz/fuzz_$2" ] || corpora+=("$cache/fuzz/fuzz_$2")
  LLVM_PROFILE_FILE=$found/$2.profraw run_logged "cover_$2" "$1" "${corpora[@]}" &&
    run_logged "profile_$2" llvm-profdata merge -sparse "$found/$2.profraw" -o "$found/$2.profdata" &&
    llvm-cov export -format=lcov -instr-profile="$found/$2.profdata" "$1" "$project/src" >"$found/$2.lcov" &&
    rm "$found/$2.profraw" "$found/$2.profdata"
}

for target in "$project"/build/fuzz-coverage/tests/fuzz/fuzz_*; do
  [ -f "$target" ] && [ -x "$target" ] || continue
  name=${target##*/fuzz_}
  [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} " == *" $name "* ]] || continue
  cover "$target" "$name"
done
[ ${#wanted[@]} -gt 0 ] || options+=(--all)
python3 "$project/tests/fuzz/judge_coverage.py" "${options[@]}" "$found"/*.lcov
