#!/usr/bin/env bash
# What does not fit into ci/check.sh: longer campaigns, the seeded-fault benchmark, licences.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-deny >/dev/null || cargo install --quiet cargo-deny --locked
cargo deny --config ci/deny.toml check licenses bans sources
cargo run --locked --release --quiet -- fuzz --time 30m --require-reach --out target/nightly-findings
cargo run --locked --release --quiet -- validate --time 60m --require-coverage --out target/nightly-disagreements
ASSAY_SOAK_FIBERS=1000000 cargo test --locked --release --test fibers_soak -- --nocapture
ci/break-it.sh
cargo bench --locked -p assay-interp-benches -- --quiet
# That the measuring works; its numbers want an idle machine.
ci/measure-collectors.sh --quick --repeat 1 --out target/nightly-collectors
ci/fuzz-smoke.sh 600 32
ci/fibers-asan.sh
ci/install-peers.sh node bun wasmtime
for peer in node bun wasmtime; do python3 fuzz/adapters/test_adapters.py "target/peers/bin/$peer"; done
# The newest of other engines against the interpreter: what is found there is news.
cargo run --locked --release --quiet -- fuzz --time 60m --out target/nightly-peers --subject interp \
    --subject proc:target/peers/bin/wasmtime --subject 'proc:target/peers/bin/node --expose-gc --stress-compaction' \
    --subject proc:target/peers/bin/bun
ci/rediscover.sh
ci/coverage.sh 60m
