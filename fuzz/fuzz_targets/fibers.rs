//! `cargo fuzz run fibers`: the typed generator's programs with their last calls as fibers, in turns that the input says.
//!
//! It can find: frames of resting fibers that a collector does not see, or sees wrong; turns that end elsewhere than in
//! the interpreter; what one fiber's end, trap or cancellation does to another; stacks that are used after their end
//! (AddressSanitizer knows them). It cannot find what needs several stores, several threads, asynchronous calls, or a
//! fiber that resumes another.
#![no_main]

mod glue;

use assay_harness::generate::interleave;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| glue::examine(&interleave::generate(data)));
