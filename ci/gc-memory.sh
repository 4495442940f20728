#!/usr/bin/env bash
# The heaps' memory under three watchers: the checked memory, AddressSanitizer, valgrind. Each lets every collector pass,
# and reports a stale read that is planted for it. `ci/gc-memory.sh WATCHER…` runs only those: checked asan valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
start=$SECONDS

# Tests that damage the heap on purpose, or read what is freed.
damaging=(--skip hostile_words --skip verifier:: --skip a_stale_reference_reads_poison \
    --skip with_settle_any_collection_poisons_the_dead)

# The tests of the checked memory plant stale reads, and much else, themselves.
watch_checked() { cargo test --locked -p assay-gc --features checked --release; }

watch_asan() {
    local cargo=(cargo) target
    if rustup toolchain list 2>/dev/null | grep -q nightly; then
        cargo=(cargo +nightly)
    else
        export RUSTC_BOOTSTRAP=1
    fi
    target=$(rustc -vV | sed -n 's/^host: //p')
    export RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS="detect_leaks=0"
    # With --target, build scripts are built without the sanitizer.
    local options=(--locked -p assay-gc --features asan --release --target "$target" --target-dir target/gc-asan)
    "${cargo[@]}" test "${options[@]}" --tests -- "${damaging[@]}"
    "${cargo[@]}" build "${options[@]}" --example mutator
    mutator="target/gc-asan/$target/release/examples/mutator"
    "$mutator" "${ASAN_STEPS:-10000}"
    expect_report use-after-poison "$mutator"
}

watch_valgrind() {
    if ! command -v valgrind >/dev/null; then
        echo "valgrind is not installed: trying apt-get"
        local sudo=()
        [ "$(id -u)" = 0 ] || sudo=(sudo)
        if ! { "${sudo[@]}" apt-get update -q && "${sudo[@]}" apt-get install -qy valgrind; }; then
            echo "valgrind is missing and cannot be installed" >&2
            return 1
        fi
    fi
    local options=(--locked -p assay-gc --features valgrind --release --target-dir target/gc-valgrind)
    # Optimised code reads an enum's padding before it looks at the tag, so undefined values are no findings here; the
    # checked memory knows which heap words are initialised.
    local memcheck=(valgrind --quiet --undef-value-errors=no --error-exitcode=9)
    # What is left out takes long; the mutator does much the same in fewer steps.
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="${memcheck[*]}" \
        cargo test "${options[@]}" --test contract -- "${damaging[@]}" \
        --skip random_graphs --skip every_combination --skip large_arrays --skip heaps_are_returned
    cargo build "${options[@]}" --example mutator
    mutator=target/gc-valgrind/release/examples/mutator
    "${memcheck[@]}" "$mutator" "${VALGRIND_STEPS:-2000}"
    expect_report "Invalid read" "${memcheck[@]}" "$mutator"
}

# Plants a stale read in each collector that frees: the watcher must report WHAT and end the process with a failure.
expect_report() {
    local what=$1 collectors collector output
    shift
    collectors=$("$mutator" --collectors)
    for collector in ${collectors:?none}; do
        if output=$("$@" --plant-stale-read "$collector" 2>&1); then
            printf '%s\n' "$output"
            echo "$collector: the planted stale read went unnoticed" >&2
            return 1
        fi
        if ! grep -q "$what" <<<"$output"; then
            printf '%s\n' "$output"
            echo "$collector: a failure, but no report of '$what'" >&2
            return 1
        fi
        echo "$collector: planted stale read reported ($what)"
    done
}

watchers=("$@")
[ ${#watchers[@]} -gt 0 ] || watchers=(checked asan valgrind)
for watcher in "${watchers[@]}"; do
    echo "--- $watcher (at $((SECONDS - start)) s)"
    # In a subshell, for what it exports; not as a condition, which would switch `set -e` off.
    (
        "watch_$watcher"
    )
done
echo "--- no finding, and every planted one found, in $((SECONDS - start)) s"
