#!/usr/bin/env bash
# What fuzzing executes of the engine and the interpreter: `ci/coverage.sh TIME [OPTION…]` runs `assay fuzz --time TIME OPTION…` in a
# build that counts lines and branches of those crates, and prints a table. Which lines were never executed stands in
# target/coverage/uncovered.txt. Ends with the campaign's exit code: 1 if it has found something. Needs the component llvm-tools.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
shift || true

# The program itself too, or the linker leaves out what writes the counts.
crates=(assay-gc assay-jit assay-runtime assay-interp assay-cli)
out=target/coverage
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
[ -x "$tools/llvm-cov" ] || rustup component add llvm-tools

# Flags for single crates, and branches, are unstable.
export RUSTC_BOOTSTRAP=1
flags='["-Cinstrument-coverage", "-Zcoverage-options=branch"]'
config=(-Zprofile-rustflags)
for crate in "${crates[@]}"; do
    config+=(--config "profile.release.package.$crate.rustflags=$flags")
done
cargo build --release --locked -p assay-cli --target-dir "$out" "${config[@]}"

rm -rf "$out/profiles"
mkdir -p "$out/profiles"
code=0
LLVM_PROFILE_FILE="$PWD/$out/profiles/%p-%m.profraw" \
    "$out/release/assay" fuzz --time "$time" --out "$out/findings" "$@" || code=$?
"$tools/llvm-profdata" merge --sparse -o "$out/all.profdata" "$out"/profiles/*.profraw

report() { "$tools/llvm-cov" "$1" "$out/release/assay" --instr-profile="$out/all.profdata" "${@:2}"; }
for folder in engine/gc engine/jit engine/runtime engine/interp; do
    echo "== $folder"
    report report --show-region-summary=false --show-functions=false "$PWD/$folder/src" |
        sed "s|^$PWD/||" | grep -v '^-*$'
done
# A line that is executed in one instance of a generic function is executed.
report show --show-instantiations=false --show-branches=count "$PWD/engine" |
    awk '/^\/.*:$/ { file = $1 } /^ *[0-9]+\| *0\|/ { print file $0 }' |
    sed "s|^$PWD/||; s/: *\([0-9]*\)| *0|/:\1: /" > "$out/uncovered.txt"
echo "$(wc -l < "$out/uncovered.txt") lines never executed: $out/uncovered.txt"
# What the campaign has found is a finding all the same.
exit $code
