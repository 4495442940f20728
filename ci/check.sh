#!/usr/bin/env bash
# All of CI, on a clean clone with two cores. Stages in order; the first failure ends it. `ci/check.sh STAGE…` runs only those.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
start=$SECONDS

stage_format() {
    cargo fmt --all -- --check
    # Modules that a macro declares are unknown to cargo fmt.
    rustfmt --edition 2024 --check engine/gc/src/*/mod.rs
}

# Wasmtime as a subject, off by default.
peer=assay-harness/peer-wasmtime,assay-cli/peer-wasmtime

stage_clippy() {
    cargo clippy --locked --all-targets --features "$peer" -- -D warnings
    cargo clippy --locked -p assay-fuzz --features assay-harness/peer-wasmtime --all-targets -- -D warnings
    # What watches the heap's memory is off by default.
    cargo clippy --locked -p assay-gc --all-targets --all-features -- -D warnings
}

stage_docs() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet --features "$peer"; }

stage_test() { cargo test --locked --release; }

stage_spec() {
    cargo run --locked --release --quiet -- spec
    # The official repository's files, where a checkout stands beside this one: newer than the crate's.
    for suite in "${ASSAY_SUITE:-}" ../shared/spec-suite /work/shared/spec-suite; do
        if [ -n "$suite" ] && [ -d "$suite" ]; then
            cargo run --locked --release --quiet -- spec --suite "$suite"
            return
        fi
    done
}

# Its crates ask for more features of Cranelift, which is compiled once more: in a profile that is quick to build, and that checks our arithmetic.
stage_peer() {
    cargo test --locked --profile checked --features peer-wasmtime -p assay-harness --test peer_wasmtime
}

# A collector that was idle has not been tested: that fails too.
stage_fuzz() {
    cargo run --locked --release --quiet -- fuzz --time 60s --require-reach --out target/ci-findings
    cargo run --locked --release --quiet -- fuzz --time 10s --self-checking --out target/ci-self-checking
}

# The interpreter's validator against wasmparser.
stage_validate() { cargo run --locked --release --quiet -- validate --time 30s --out target/ci-disagreements; }

# Each libFuzzer target under AddressSanitizer, which wants nightly (or RUSTC_BOOTSTRAP on stable).
stage_libfuzzer() { ci/fuzz-smoke.sh 8; }

# The checked memory, AddressSanitizer and valgrind over the collectors.
stage_memory() { ci/gc-memory.sh; }

stage_deny() {
    # The advisory database is on the network; licences, bans and sources are not.
    if command -v cargo-deny >/dev/null; then
        cargo deny --config ci/deny.toml check licenses bans sources
    else
        echo "cargo-deny is not installed: licences and sources unchecked (ci/nightly.sh installs it)"
    fi
}

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(format clippy docs test memory spec fuzz validate peer libfuzzer deny)
for stage in "${stages[@]}"; do
    echo "=== $stage (at $((SECONDS - start)) s)"
    "stage_$stage"
done
echo "=== all stages passed in $((SECONDS - start)) s"
