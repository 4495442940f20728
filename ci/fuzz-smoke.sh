#!/usr/bin/env bash
# Runs each libFuzzer target for SECONDS (default 60) under AddressSanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
if ! command -v cargo-fuzz >/dev/null; then
    cargo install --quiet cargo-fuzz --version 0.13.2 --locked
fi
if rustup toolchain list 2>/dev/null | grep -q nightly; then
    cargo=(cargo +nightly)
else
    export RUSTC_BOOTSTRAP=1
    cargo=(cargo)
fi
# The engines reserve address space and handle SIGSEGV themselves; frames that the sanitizer keeps on the heap would outlive
# their fibers.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0:allow_user_segv_handler=1:handle_segv=1:use_sigaltstack=0:detect_stack_use_after_return=0"
for target in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$target" .rs)
    echo "--- cargo fuzz run $name, $seconds s"
    "${cargo[@]}" fuzz run -O -s address "$name" -- -max_total_time="$seconds" -rss_limit_mb=8192 -timeout=60 -max_len=4096
done
