//! `cargo fuzz run linking`: several modules whose instances share objects, on the interpreter and on the JIT engine with
//! each collector, with and without optimisation. It can find what only several modules show: types that are equal, or only
//! look it, across modules, imports that match and others, identity of tags, roots that another instance holds. Programs
//! are small, so faults of large objects and of long runs are for `collectors`.
#![no_main]

use std::cell::RefCell;

use assay_harness::campaign::worker::examine;
use assay_harness::subject::{self, Subject};
use assay_harness::{case::Case, generate};
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static SUBJECTS: RefCell<Vec<Box<dyn Subject>>> = RefCell::new(
        ["interp", "jit:*"].iter().flat_map(|spec| subject::parse(spec).expect("known subjects")).collect(),
    );
}

/// Asked for by AddressSanitizer: frames that it keeps on the heap would outlive their fibers and fill the memory.
#[unsafe(no_mangle)]
extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"detect_stack_use_after_return=0".as_ptr()
}

fuzz_target!(|data: &[u8]| {
    let generator = generate::find("linking").expect("a known generator");
    let case: Case = (generator.generate)(&mut Unstructured::new(data));
    let report = SUBJECTS.with_borrow_mut(|subjects| examine(subjects, &case));
    if let Some(finding) = report.findings.first() {
        panic!("{} [{}] {}\n{}", finding.kind, finding.subjects.join(" | "), finding.text, case.to_wast());
    }
});
