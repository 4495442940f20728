//! `cargo fuzz run linking`: several modules whose instances share objects, on the interpreter and on the JIT engine with
//! each collector, with and without optimisation. It can find what only several modules show: types that are equal, or only
//! look it, across modules, imports that match and others, identity of tags, roots that another instance holds. Programs
//! are small, so faults of large objects and of long runs are for `collectors`.
#![no_main]

mod glue;

use assay_harness::generate::linking;
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| glue::examine(&linking::generate(&mut Unstructured::new(data))));
