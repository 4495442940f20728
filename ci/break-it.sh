#!/usr/bin/env bash
# The harness's own power: applies each seeded fault of ci/break-it/ to a scratch copy, fuzzes with three fixed seeds and
# the unchanged generators, and prints the seconds until the first finding. Faults in ci/break-it/validator/ are rules that the
# interpreter's validator lacks: there `assay validate` must find the disagreement. Fails when a fault is not found in time.
#   ci/break-it.sh [--limit SECONDS] [PATCH…]
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
limit=60
if [ "${1:-}" = --limit ]; then limit=$2; shift 2; fi
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=("$root"/ci/break-it/*.patch "$root"/ci/break-it/validator/*.patch)
scratch=${ASSAY_SCRATCH:-$root/target/break-it}
mkdir -p "$scratch"
# The dependencies need not be built twice.
if [ ! -d "$scratch/target" ] && [ -d "$root/target/release" ]; then
    mkdir -p "$scratch/target" && cp -a "$root/target/release" "$scratch/target/"
fi
# restore TREE: makes it what the root is. Only what differs is written, and so has a new time stamp: cargo builds again what the fault before
# was in, and nothing else.
restore() {
    mkdir -p "$1"
    (cd "$root" && git ls-files -z) | while IFS= read -r -d '' file; do
        if [ -f "$root/$file" ] && ! cmp -s "$root/$file" "$1/$file"; then
            mkdir -p "$(dirname "$1/$file")"
            cp "$root/$file" "$1/$file"
        fi
    done
    # What a fault has added.
    (cd "$1" && find . -type f -printf '%P\0') | while IFS= read -r -d '' file; do
        [ -f "$root/$file" ] || rm "$1/$file"
    done
}
missed=0
# Without a fault nothing may be found, else every fault would count as found.
patches=("" "${patches[@]}")
for patch in "${patches[@]}"; do
    name=$(basename "${patch:-unpatched}" .patch)
    tree=$scratch/tree
    restore "$tree"
    if [ -n "$patch" ] && ! (cd "$tree" && patch -p1 --quiet --no-backup-if-mismatch <"$patch"); then
        echo "$name: does not apply"; missed=1; continue
    fi
    # One target folder for all faults: only the changed crates are built again.
    if ! (cd "$tree" && CARGO_TARGET_DIR="$scratch/target" CARGO_INCREMENTAL=0 cargo build --locked --release --quiet -p assay-cli) 2>"$scratch/build.log"; then
        echo "$name: does not build (see $scratch/build.log)"; missed=1; continue
    fi
    line="$name:"
    for seed in 1 2 3; do
        out=$scratch/out-$name-$seed
        rm -rf "$out"
        commands=(fuzz)
        case $patch in
            "") commands=(fuzz validate) ;;
            */validator/*) commands=(validate) ;;
        esac
        for command in "${commands[@]}"; do
            "$scratch/target/release/assay" "$command" --time "${limit}s" --seed "$seed" --stop-at-first --json --out "$out" >"$scratch/$name-$seed.json" 2>/dev/null
            code=$?
            [ "$code" = 0 ] || break
        done
        after=$(python3 -c '
import json, sys
try:
    summary = json.load(open(sys.argv[1]))
    found = summary.get("findings", summary.get("disagreements", {})).values()
except Exception as e: found = []
print(min((f["after"] for f in found), default=""))' "$scratch/$name-$seed.json")
        if [ -z "$patch" ]; then
            if [ "$code" = 0 ]; then line="$line nothing found"; else echo "$line exit $code: findings without a fault"; exit 1; fi
        elif [ "$code" = 1 ] && [ -n "$after" ]; then
            line="$line $(printf '%.1f s' "$after")"
        else
            line="$line MISSED(exit $code)"; missed=1
        fi
    done
    echo "$line"
done
exit $missed
