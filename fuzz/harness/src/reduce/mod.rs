//! Reduction: a smaller case with the same finding.
//!
//! [`reduce`] tries smaller cases and keeps each that the caller's predicate still holds of: first steps of the script
//! (`script`) and collections of the schedule (`schedule`), then whole items of modules and function bodies (`module`), then instructions
//! (`code`), over and over with ever smaller pieces until nothing can go. Invariants: a candidate's modules validate if
//! those of the case did; the same case and the same answers give the same result; what is returned holds the predicate
//! if the case did. Where a
//! heap limit is known to suffice for the case, it suffices for each candidate: a program that leaks is not told from one that
//! asks for more memory by its outcome. For the same reason a repeated call that leaves nothing behind stays one.

mod code;
mod module;
mod schedule;
mod script;

use std::ops::{ControlFlow, Range};

use wasmparser::{Validator, WasmFeatures};

use crate::case::{Action, Source};
use crate::{Case, limits, selfcheck};

/// How far a reduction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Candidates that the predicate was asked about.
    pub tried: u64,
    /// Those that it held of.
    pub kept: u64,
    /// Steps of the best case so far.
    pub steps: usize,
    /// Bytes of its modules.
    pub bytes: usize,
}

/// The smallest case found of which `still` holds.
pub fn reduce(case: &Case, still: &mut dyn FnMut(&Case) -> bool) -> Case {
    reduce_with(case, still, &mut |_| ControlFlow::Continue(()))
}

/// The same; `progress` is called before each candidate and can end the reduction, which then gives the best so far.
pub fn reduce_with(
    case: &Case,
    still: &mut dyn FnMut(&Case) -> bool,
    progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Case {
    let mut run = Run {
        best: case.clone(),
        limited: limits::hold(case),
        steady: selfcheck::steady(case) == Some(true),
        progress: Progress::default(),
        still,
        report: progress,
        ended: false,
    };
    run.note_size();
    // Each round is a fixed point but for what later stages open up; ten is far beyond what is seen.
    for _ in 0..10 {
        let before = size(&run.best);
        script::shrink(&mut run);
        module::shrink(&mut run);
        code::shrink(&mut run);
        if run.ended || size(&run.best) == before {
            break;
        }
    }
    run.best
}

/// A reduction under way.
struct Run<'a> {
    best: Case,
    /// Whether the case's heap limit is one that candidates must keep to, or do without.
    limited: bool,
    /// Whether the case repeats a call that leaves nothing behind, and so must each candidate that repeats one.
    steady: bool,
    progress: Progress,
    still: &'a mut dyn FnMut(&Case) -> bool,
    report: &'a mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ended: bool,
}

impl Run<'_> {
    /// Takes `candidate` if the predicate holds of it.
    fn attempt(&mut self, candidate: Case) -> bool {
        if self.ended || candidate == self.best {
            return false;
        }
        if (self.report)(&self.progress).is_break() {
            self.ended = true;
            return false;
        }
        if self.limited && candidate.schedule.gc_heap_max.is_some() && !limits::hold(&candidate) {
            return false;
        }
        if self.steady && selfcheck::steady(&candidate) == Some(false) {
            return false;
        }
        self.progress.tried += 1;
        let holds = (self.still)(&candidate);
        if holds {
            self.progress.kept += 1;
            self.best = candidate;
            self.note_size();
        }
        holds
    }

    /// Drops ranges of items, from the last to the first and from half of them to single ones. `count` says how many there
    /// are, `without` makes the candidate or says that it is none.
    fn drop_ranges(
        &mut self,
        count: &dyn Fn(&Case) -> usize,
        without: &mut dyn FnMut(&Case, Range<usize>) -> Option<Case>,
    ) {
        let mut size = count(&self.best);
        while size > 0 && !self.ended {
            let mut end = count(&self.best);
            while end > 0 && !self.ended {
                let start = end.saturating_sub(size);
                if let Some(candidate) = without(&self.best, start..end) {
                    self.attempt(candidate);
                }
                end = start.min(count(&self.best));
            }
            size /= 2;
        }
    }

    fn note_size(&mut self) {
        (self.progress.steps, self.progress.bytes) = (self.best.steps.len(), module_bytes(&self.best));
    }
}

fn size(case: &Case) -> (usize, usize, usize) {
    let args = case.steps.iter().map(|step| match &step.action {
        Action::Invoke { args, .. } => args.len(),
        _ => 0,
    });
    (case.steps.len(), module_bytes(case), args.sum())
}

fn module_bytes(case: &Case) -> usize {
    (0..case.steps.len()).filter_map(|step| module_at(case, step)).map(<[u8]>::len).sum()
}

/// The module of a step.
fn module_at(case: &Case, step: usize) -> Option<&[u8]> {
    let (Action::Module { source, .. }
    | Action::Define { source, .. }
    | Action::Check { source }
    | Action::Link { source }) = &case.steps.get(step)?.action
    else {
        return None;
    };
    match source {
        Source::Binary(bytes) => Some(bytes),
        Source::RejectedText(_) => None,
    }
}

/// The case with another module in a step, if that validates.
fn with_module(case: &Case, step: usize, bytes: Vec<u8>) -> Option<Case> {
    if !is_valid(&bytes) {
        return None;
    }
    let mut case = case.clone();
    let (Action::Module { source, .. }
    | Action::Define { source, .. }
    | Action::Check { source }
    | Action::Link { source }) = &mut case.steps.get_mut(step)?.action
    else {
        return None;
    };
    *source = Source::Binary(bytes);
    Some(case)
}

/// Steps whose modules validate: others are left as they are.
fn valid_modules(case: &Case) -> Vec<usize> {
    (0..case.steps.len()).filter(|step| module_at(case, *step).is_some_and(is_valid)).collect()
}

fn is_valid(bytes: &[u8]) -> bool {
    let features = WasmFeatures::WASM3.union(WasmFeatures::LEGACY_EXCEPTIONS);
    Validator::new_with_features(features).validate_all(bytes).is_ok()
}

#[cfg(test)]
mod tests;
