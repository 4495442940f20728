//! `cargo fuzz run collectors`: the typed generator's programs, from plain bytes, on the interpreter and on the JIT engine
//! with each collector, with and without optimisation.
//!
//! It can find what `objects` can, and does not depend on its mutator: a control. It changes many things at once.
#![no_main]

mod glue;

use assay_harness::generate::objects;
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| glue::examine(&objects::generate(&mut Unstructured::new(data))));
