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

stage_clippy() {
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked -p assay-fuzz --all-targets -- -D warnings
    # What watches the heap's memory is off by default.
    cargo clippy --locked -p assay-gc --all-targets --all-features -- -D warnings
}

stage_docs() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet; }

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

# Wasmtime as a subject, not among the stages that run by themselves: its crates ask for more features of Cranelift, which is compiled once more for
# it, and that takes some 700 CPU seconds (ci/nightly.sh and a job of its own run it).
stage_peer() {
    local features=assay-harness/peer-wasmtime,assay-cli/peer-wasmtime
    cargo clippy --locked --features "$features" -p assay-harness -p assay-cli --all-targets -- -D warnings
    cargo test --locked --release --features "$features" --test peer_wasmtime
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
[ ${#stages[@]} -gt 0 ] || stages=(format clippy docs test memory spec fuzz validate libfuzzer deny)
for stage in "${stages[@]}"; do
    echo "=== $stage (at $((SECONDS - start)) s)"
    "stage_$stage"
done
echo "=== all stages passed in $((SECONDS - start)) s"
