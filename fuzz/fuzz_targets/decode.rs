//! `cargo fuzz run decode`: raw bytes into whatever takes any: the interpreter's decoder and validator, the JIT's front end,
//! the parsers of scripts, of cases' headers, of schedules and of subjects' names, the inputs of the typed generator.
//!
//! It can find: panics, overflows, endless loops, memory that grows beyond reason, validators that disagree, and cases that
//! read otherwise when they have been written. Nothing runs here.
#![no_main]

use assay_harness::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(what) = decode::all(data) {
        panic!("{what}");
    }
});
