//! `cargo fuzz run validate`: the interpreter's validator against wasmparser and the JIT's front end, on generated and mutated modules.
//!
//! An input that is a module already (a corpus entry, or what libFuzzer made of one) is judged as it is, with the legacy
//! exceptions in every fourth length.
#![no_main]

use std::sync::OnceLock;

use assay_harness::validate::{self, Seeds};
use libfuzzer_sys::fuzz_target;

static SEEDS: OnceLock<Seeds> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let (module, legacy) = if data.starts_with(b"\0asm") {
        (data.to_vec(), data.len().is_multiple_of(4))
    } else {
        let input = validate::input(data, SEEDS.get_or_init(Seeds::default));
        (input.module, input.legacy)
    };
    let verdict = validate::judge(&module, legacy);
    assert!(verdict.agrees(), "{verdict}{module:02x?}");
});
