//! `cargo fuzz run fibers`: the typed generator's programs with their last calls as fibers, in turns that the input says,
//! on the interpreter and on the JIT engine with each collector, with and without optimisation.
//!
//! A generated case that has fibers already keeps its own turns, which its module calls on to suspend itself; one with a
//! heap limit has no fibers. The others get the input's first eighth as turns, of calls which share globals and tables
//! with each other and are cut off by fuel and epochs only, within statements that no generator of fibers writes.
//!
//! It can find: frames of resting fibers that a collector does not see, or sees wrong; turns that end elsewhere than in
//! the interpreter; what one fiber's end, trap or cancellation does to another; stacks that are used after their end
//! (AddressSanitizer knows them). It cannot find what needs several stores, several threads, asynchronous calls, or a
//! fiber that resumes another.
#![no_main]

use std::cell::RefCell;

use assay_harness::campaign::worker::examine;
use assay_harness::case::{Case, Slice, Turn};
use assay_harness::subject::{self, Subject};
use assay_harness::{Action, generate};
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

/// Fibers of one case, at most.
const MAX_FIBERS: usize = 6;

/// Turns, at most, before the fibers go on in order.
const MAX_TURNS: usize = 60;

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
    let generator = generate::find("objects").expect("a known generator");
    let (turns, program) = data.split_at(data.len() / 8);
    let mut case: Case = (generator.generate)(&mut Unstructured::new(program));
    // A heap limit suffices for calls one after another.
    if case.schedule.fibers == 0 && case.schedule.gc_heap_max.is_none() {
        on_fibers(&mut case, &mut turns.iter().copied().chain(tail()));
    }
    let report = SUBJECTS.with_borrow_mut(|subjects| examine(subjects, &case));
    if let Some(finding) = report.findings.first() {
        panic!("{} [{}] {}\n{}", finding.kind, finding.subjects.join(" | "), finding.text, case.to_wast());
    }
});

/// The case's calls become fibers with turns from the bytes, which do not run out.
fn on_fibers(case: &mut Case, bytes: &mut impl Iterator<Item = u8>) {
    // Collections between calls would part the fibers.
    case.steps.retain(|step| !matches!(step.action, Action::Collect));
    let calls =
        case.steps.iter().rev().take_while(|step| matches!(step.action, Action::Invoke { .. })).count();
    case.schedule.fibers = calls.min(MAX_FIBERS) as u32;
    let turns = bytes.next().map_or(0, usize::from) % MAX_TURNS;
    case.schedule.turns = (0..turns).filter_map(|_| turn(bytes, case.schedule.fibers)).collect();
}

/// An event from two bytes.
fn turn(bytes: &mut impl Iterator<Item = u8>, fibers: u32) -> Option<Turn> {
    let (what, length) = (u32::from(bytes.next()?), u64::from(bytes.next()?) + 1);
    let fiber = what / 16 % fibers.max(1);
    Some(match what % 16 {
        0 => Turn::Cancel(fiber),
        1 | 2 => Turn::Collect,
        3 => Turn::Epoch,
        4 => Turn::Resume(fiber, Slice::default()),
        5 => Turn::Resume(fiber, Slice { fuel: None, epochs: Some(1 + length % 3) }),
        6 => Turn::Resume(fiber, Slice { fuel: Some(length), epochs: Some(1 + length % 3) }),
        _ => Turn::Resume(fiber, Slice { fuel: Some(length), epochs: None }),
    })
}

/// A fixed sequence for short inputs, as the generator has one: the high bytes of a linear congruence.
fn tail() -> impl Iterator<Item = u8> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(1), next).skip(1).map(|state: u64| (state >> 56) as u8)
}
