//! `cargo fuzz run smith`: wasm-smith's modules, with all of WebAssembly 3.0 on, called with made-up arguments.
//!
//! It can find: wrong results, traps and state of instructions in every odd shape, of control flow, of vectors, of linear
//! memories and tables. It hardly finds faults of collectors: its programs make few objects that point at each other.
#![no_main]

mod glue;

use assay_harness::generate::smith;
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| glue::examine(&smith::generate(&mut Unstructured::new(data))));
