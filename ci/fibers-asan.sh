#!/usr/bin/env bash
# The runtime's tests of fibers and 100,000 fibers of the soak under AddressSanitizer. Builds Cranelift with it, hence for
# the night.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=(cargo)
if rustup toolchain list 2>/dev/null | grep -q nightly; then
    cargo=(cargo +nightly)
else
    export RUSTC_BOOTSTRAP=1
fi
# Frames that the sanitizer keeps on the heap would outlive their fibers (corosensei never gives them up), and memory that
# it keeps for a while would count as the soak's.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0:allow_user_segv_handler=1:handle_segv=1:use_sigaltstack=0"
ASAN_OPTIONS+=":detect_stack_use_after_return=0:quarantine_size_mb=8"
export RUSTFLAGS="-Zsanitizer=address" ASSAY_SOAK_FIBERS="${ASSAY_SOAK_FIBERS:-100000}"
# With --target, build scripts are built without the sanitizer.
"${cargo[@]}" test --locked --release -p assay-runtime --target "$(rustc -vV | sed -n 's/^host: //p')" \
    --target-dir target/runtime-asan --test fibers --test asynchronous --test fibers_soak -- --nocapture
