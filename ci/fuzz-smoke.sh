#!/usr/bin/env bash
# Runs each libFuzzer target for SECONDS (default 60) under AddressSanitizer, from COUNT (default 6) generated inputs. All
# targets are built at once.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
count=${2:-6}
if ! command -v cargo-fuzz >/dev/null; then
    # It only starts others: a quick build does.
    cargo install --quiet --debug cargo-fuzz --version 0.13.2 --locked
fi
if rustup toolchain list 2>/dev/null | grep -q nightly; then
    cargo=(cargo +nightly)
else
    export RUSTC_BOOTSTRAP=1
    cargo=(cargo)
fi
cargo run --locked --release --quiet -- seeds --count "$count" target/fuzz-seeds
# The engines reserve address space and handle SIGSEGV themselves; frames that the sanitizer keeps on the heap would outlive
# their fibers.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0:allow_user_segv_handler=1:handle_segv=1:use_sigaltstack=0:detect_stack_use_after_return=0"
# With one unit a crate, which is cargo-fuzz's default, the largest crate is compiled on one core while the other waits.
build=(-O -s address --codegen-units 16)
"${cargo[@]}" fuzz build "${build[@]}"
for target in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$target" .rs)
    echo "--- cargo fuzz run $name, $seconds s"
    options=(-max_total_time="$seconds" -rss_limit_mb=8192 -timeout=150 -max_len=4096)
    if [ -f "fuzz/fuzz_targets/$name.dict" ]; then
        options+=(-dict="fuzz/fuzz_targets/$name.dict")
    fi
    mkdir -p "fuzz/corpus/$name"
    log=target/fuzz-$name.log
    # libFuzzer says at the end how many inputs it ran: a target that skips all of them has not been tested.
    "${cargo[@]}" fuzz run "${build[@]}" "$name" "fuzz/corpus/$name" "target/fuzz-seeds/$name" -- \
        "${options[@]}" -print_final_stats=1 2>&1 | tee "$log"
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    if [ "${runs:-0}" -lt "$count" ]; then
        echo "$name: ${runs:-no} inputs in $seconds s, fewer than there are seeds ($count)" >&2
        exit 1
    fi
done
