//! `cargo fuzz run embedding`: random calls of the embedding API over several stores: instances, functions, tables, globals,
//! memories, tags, exceptions, fibers and handles, mixed up between stores, from outside and from host functions.
//!
//! It can find: panics and crashes that are not documented, internal errors, handles that work in another store, references
//! that collections lose while only the host holds them, state that reads otherwise than it was set. It cannot find
//! wrong results of programs (one module is all that runs), what threads do, or asynchronous calls.
#![no_main]

use std::sync::LazyLock;

use assay_harness::embedding::{self, Engines};
use libfuzzer_sys::fuzz_target;

static ENGINES: LazyLock<Engines> = LazyLock::new(Engines::default);

/// Asked for by AddressSanitizer: frames that it keeps on the heap would outlive their fibers and fill the memory.
// SAFETY: nothing else has that name, and it is called without arguments for a string that lasts.
#[unsafe(no_mangle)]
extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"detect_stack_use_after_return=0".as_ptr()
}

fuzz_target!(|data: &[u8]| {
    if let Err(what) = embedding::run(data, &ENGINES) {
        panic!("{what}");
    }
});
