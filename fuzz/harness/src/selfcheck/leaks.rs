//! Which call of a case can be repeated for ever in a heap that holds what one of them needs, on every collector, those that do not
//! free cycles too.

use super::script::transform;
use crate::case::{Action, Source};
use crate::subject::{Garbage, garbage};
use crate::{Case, Value};

/// A call to be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    /// Its place among the case's calls.
    pub(super) call: usize,
    /// How often.
    pub(super) times: u32,
}

/// Bytes that one repeated call allocates, at most.
const MOST_BYTES: u64 = 16 << 10;

/// One case in so many repeats a call.
const ONE_IN: usize = 4;

/// Calls of a case that are tried.
const TRIES: usize = 4;

/// Repetitions, at most; fewer than `FEWEST` would leak too little to be seen.
const MOST: u64 = 10_000;
const FEWEST: u64 = 200;

/// Instructions that the repetitions take on the interpreter, about, and fuel that suffices for them.
const INSTRUCTIONS: u64 = 3_000_000;
pub(super) const FUEL: u64 = 2 * INSTRUCTIONS;

/// A call that leaves nothing behind, the first from a place that differs from case to case; none for most cases, because a heap that is full of
/// what an engine leaks leaves no room for the rest.
pub(super) fn choose(case: &Case) -> Option<Repeated> {
    let bytes = bytes(case);
    if !bytes.is_multiple_of(ONE_IN) {
        return None;
    }
    let is_call = |step: &&crate::Step| matches!(step.action, Action::Invoke { .. });
    let calls = case.steps.iter().filter(is_call).count();
    let first = bytes / ONE_IN;
    (0..calls.min(TRIES)).find_map(|turn| {
        let call = (first + turn) % calls;
        let run = |times| -> Option<Garbage> {
            let mut form = transform(case, 0, Some(Repeated { call, times })).ok()?.case;
            let repeat = form.steps.iter().position(is_repeat)?;
            form.steps.truncate(repeat + 1);
            form.schedule.fuel = Some(FUEL);
            garbage(&form)
        };
        let (few, more) = (run(3)?, run(7)?);
        // What one call allocates fits many times into a small heap, and all of it into the interpreter's.
        let bytes = more.bytes.saturating_sub(few.bytes) / 4;
        if few.live != more.live || more.cyclic || bytes > MOST_BYTES {
            return None;
        }
        let one = (more.instructions.saturating_sub(few.instructions) / 4).max(1);
        let times = (INSTRUCTIONS / one).min(MOST);
        (times >= FEWEST).then_some(Repeated { call, times: times as u32 })
    })
}

/// Whether each repeated call of a case leaves nothing behind: with more repetitions (its last argument) as many objects are alive, and no cycle has
/// become garbage. None if there is no such call.
pub fn steady(case: &Case) -> Option<bool> {
    let mut repeats = (0..case.steps.len()).filter(|step| is_repeat(&case.steps[*step])).peekable();
    repeats.peek()?;
    Some(repeats.all(|repeat| {
        let mut form = case.clone();
        form.steps.truncate(repeat + 1);
        form.schedule.fuel = Some(FUEL);
        let mut run = |times| -> Option<Garbage> {
            // Those before it too, which would take its fuel.
            for step in form.steps.iter_mut().filter(|step| is_repeat(step)) {
                let Action::Invoke { args, .. } = &mut step.action else { return None };
                *args.last_mut()? = Value::I32(times);
            }
            garbage(&form)
        };
        let (few, more) = (run(3), run(7));
        few.zip(more).is_some_and(|(few, more)| few.live == more.live && !more.cyclic)
    }))
}

/// Bytes of the case's modules: what differs from case to case and is the same each time.
pub(super) fn bytes(case: &Case) -> usize {
    let bytes = |step: &crate::Step| match &step.action {
        Action::Module { source: Source::Binary(bytes), .. } => bytes.len(),
        _ => 0,
    };
    case.steps.iter().map(bytes).sum()
}

/// Whether the step is a repeated call.
fn is_repeat(step: &crate::Step) -> bool {
    matches!(&step.action, Action::Invoke { field, .. } if super::is_repeat(field))
}
