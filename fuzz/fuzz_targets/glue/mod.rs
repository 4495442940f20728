//! What the targets over cases share: the subjects, the comparison, and the counters of heap events that libFuzzer reads.
//!
//! A target makes a case of its bytes and gives it to [`examine`]; the rest is the harness's.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, Ordering};

use assay_harness::campaign::worker;
use assay_harness::subject::{self, Subject};
use assay_harness::{Case, feedback};

thread_local! {
    static SUBJECTS: RefCell<Vec<Box<dyn Subject>>> = RefCell::new(
        ["interp", "jit:*"].iter().flat_map(|spec| subject::parse(spec).expect("known subjects")).collect(),
    );
}

/// Events of the last case. libFuzzer takes what lies in this section for coverage, and clears it before each input.
// SAFETY: the section is one of plain bytes, each of which may have any value.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static COUNTERS: [AtomicU8; feedback::LEN] = [const { AtomicU8::new(0) }; feedback::LEN];

/// Asked for by AddressSanitizer: frames that it keeps on the heap would outlive their fibers and fill the memory.
// SAFETY: nothing else has that name, and it is called without arguments for a string that lasts.
#[unsafe(no_mangle)]
extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"detect_stack_use_after_return=0".as_ptr()
}

/// Runs the case on the interpreter and on the JIT engine with each collector, with and without optimisation.
///
/// # Panics
/// With the first finding, and the case as text.
pub fn examine(case: &Case) {
    let report = SUBJECTS.with_borrow_mut(|subjects| {
        let report = worker::examine(subjects, case);
        let names: Vec<&str> = subjects.iter().map(|subject| subject.name()).collect();
        for (counter, value) in COUNTERS.iter().zip(*feedback::counters(case, &names, &report)) {
            counter.store(value, Ordering::Relaxed);
        }
        report
    });
    if let Some(finding) = report.findings.first() {
        let case = case.to_wast_binary();
        panic!("{} [{}] {}\n{case}", finding.kind, finding.subjects.join(" | "), finding.text);
    }
}
