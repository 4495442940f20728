//! Expected values of a self-checking case, from the interpreter, and its text. Modules stand there as bytes: their text would
//! not give the same bytes once they have names.

use super::script::transform;
use super::{LeftOut, SelfChecking, leaks};
use crate::case::{Action, Case, Expect, Pattern};
use crate::observe::{Outcome, Resource, TrapKind};
use crate::subject::{InterpSubject, Subject};

/// Fuel of each call: other engines have none, so what needs more is left out.
const FUEL: u64 = 20_000_000;

/// Runs of one case, at most: each leaves out what the one before could not end.
const ROUNDS: usize = 4;

/// A self-checking case with what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The case.
    pub case: Case,
    /// Why calls were left out, one each.
    pub dropped: Vec<LeftOut>,
    /// For the header.
    garbage: u32,
}

/// Makes the self-checking form of `case` and finds out what to expect of it. Before all calls stands a call that is repeated, if one of
/// the case's leaves nothing behind. Calls that the interpreter cannot end are left
/// out, and the case is run again without them.
///
/// # Errors
/// Why there is none.
pub fn export(case: &Case, garbage: u32) -> Result<Exported, LeftOut> {
    let repeated = leaks::choose(case);
    // Garbage changes no value, so the run does without it.
    let SelfChecking { case: mut quick, mut dropped } = transform(case, 0, repeated)?;
    let SelfChecking { case: mut full, .. } = transform(case, garbage, repeated)?;
    let of_case = case.schedule.fuel.map_or(FUEL, |fuel| fuel.saturating_add(super::DIGEST_FUEL));
    quick.schedule.fuel = Some(of_case.clamp(leaks::FUEL, FUEL));
    full.schedule.fuel = None;
    for _ in 0..ROUNDS {
        if !full.steps.iter().any(|step| is_call(&step.action)) {
            return Err(dropped.first().copied().unwrap_or(LeftOut::NoCall));
        }
        let observation = InterpSubject::default().observe(&quick);
        let mut verdicts = Vec::with_capacity(full.steps.len());
        for (step, outcome) in full.steps.iter().zip(&observation.outcomes) {
            verdicts.push(if is_call(&step.action) {
                expectation(outcome)?
            } else if *outcome == Outcome::Done {
                Ok(Expect::Success)
            } else {
                return Err(LeftOut::Instantiation);
            });
        }
        let cut_short: Vec<LeftOut> = verdicts.iter().filter_map(|v| v.as_ref().err().copied()).collect();
        let mut keep = verdicts.iter().map(Result::is_ok);
        quick.steps.retain(|_| keep.next().unwrap_or(false));
        let mut keep = verdicts.iter().map(Result::is_ok);
        full.steps.retain(|_| keep.next().unwrap_or(false));
        if cut_short.is_empty() {
            for (step, expect) in full.steps.iter_mut().zip(verdicts.into_iter().flatten()) {
                step.expect = expect;
            }
            return Ok(Exported { case: full, dropped, garbage });
        }
        dropped.extend(cut_short);
    }
    Err(dropped.last().copied().unwrap_or(LeftOut::NoCall))
}

impl Exported {
    /// The `.wast` text.
    pub fn to_wast(&self) -> String {
        let text = self.case.to_wast();
        let header = text.lines().take_while(|line| line.starts_with(";;!")).map(|line| line.len() + 1).sum();
        let (header, script) = text.split_at_checked(header).unwrap_or(("", &text));
        format!(
            "{header};; Written by assay {} (assay export): self-checking, expected values from its reference interpreter.\n\
             ;; Needs nothing but a .wast runner; for engines before WebAssembly 3.0 became their default, with\n\
             ;; GC, function references, exceptions and tail calls on. Collections are forced by garbage: {} dead\n\
             ;; arrays of 1,000 bytes each time, so cap the heap (at 192 KiB, say).\n{script}",
            env!("CARGO_PKG_VERSION"),
            self.garbage,
        )
    }
}

fn is_call(action: &Action) -> bool {
    matches!(action, Action::Invoke { .. })
}

/// What to expect of a call: the outer error ends the case, the inner one the call.
fn expectation(outcome: &Outcome) -> Result<Result<Expect, LeftOut>, LeftOut> {
    Ok(match outcome {
        Outcome::Returned { values, .. } => {
            Ok(Expect::Return(values.iter().map(|value| Pattern::Value(*value)).collect()))
        }
        Outcome::Trapped(TrapKind::AllocationTooLarge) => Err(LeftOut::AllocationSize),
        Outcome::Trapped(kind) => Ok(Expect::Trap(*kind)),
        Outcome::Exhausted(Resource::Fuel) => Err(LeftOut::Fuel),
        Outcome::Exhausted(Resource::CallStack) => Err(LeftOut::CallStack),
        Outcome::Exhausted(Resource::GcHeap | Resource::Memory | Resource::Table) => Err(LeftOut::Memory),
        Outcome::BadStep(_) | Outcome::Done => Err(LeftOut::BadCall),
        Outcome::Rejected(..) | Outcome::Unchecked | Outcome::Unsupported(_) => {
            return Err(LeftOut::InvalidModule);
        }
        // The added exports catch all exceptions, and there are no fibers.
        Outcome::Thrown { .. } | Outcome::Cancelled | Outcome::Crashed(_) => return Err(LeftOut::Crash),
        // The interpreter names every trap and leaves the judgement to others.
        Outcome::TrappedSomehow(..) | Outcome::Refuted(_) => return Err(LeftOut::Crash),
    })
}
