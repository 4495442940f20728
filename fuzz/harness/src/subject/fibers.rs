//! The last steps of a case as fibers: turns by the schedule, then in order until all have ended.
//!
//! What each turn came to, and the fuel that was left then, stands in the trace, so that interleavings are compared turn
//! by turn.

use super::script::{Executor, Script, caught};
use crate::case::{Action, Slice, Step, Turn};
use crate::observe::{Outcome, Value};

/// Rounds after the schedule's events; whoever is left then is given up.
const MAX_ROUNDS: usize = 1000;

enum State<F> {
    Resting(F),
    Ended(Outcome),
}

impl<'c, E: Executor> Script<'c, E> {
    /// Runs `steps`, which are calls; one outcome each.
    pub(super) fn fibers(&mut self, executor: &mut E, steps: &'c [Step], turns: &[Turn]) -> Vec<Outcome> {
        if steps.is_empty() {
            return Vec::new();
        }
        executor.set_fuel(self.fuel.map(|fuel| fuel.saturating_mul(steps.len() as u64).min(i64::MAX as u64)));
        let mut fibers: Vec<State<E::Fiber>> = Vec::with_capacity(steps.len());
        for step in steps {
            let started = match &step.action {
                Action::Invoke { module, field, args } => self
                    .export(executor, module.as_deref(), field)
                    .and_then(|function| executor.start(function, args)),
                _ => Err(Outcome::BadStep("only a call can be a fiber".into())),
            };
            fibers.push(started.map_or_else(State::Ended, State::Resting));
        }
        let counted = self.fuel.is_some();
        let mut crashed = false;
        for turn in turns {
            crashed = crashed || event(executor, &mut fibers, *turn, counted);
        }
        let resting = |state: &State<E::Fiber>| matches!(state, State::Resting(_));
        for round in 0..=MAX_ROUNDS {
            if crashed || !fibers.iter().any(resting) {
                break;
            }
            for index in 0..fibers.len() as u32 {
                let last = if round == MAX_ROUNDS {
                    Turn::Cancel(index)
                } else {
                    Turn::Resume(index, Slice::default())
                };
                crashed = crashed || event(executor, &mut fibers, last, counted);
            }
        }
        let outcome = |state| match state {
            State::Ended(outcome) => outcome,
            State::Resting(_) => Outcome::Crashed("not finished: another fiber crashed".into()),
        };
        fibers.into_iter().map(outcome).collect()
    }
}

/// True when the executor crashed: nothing runs on it any more.
fn event<E: Executor>(executor: &mut E, fibers: &mut [State<E::Fiber>], turn: Turn, counted: bool) -> bool {
    let (number, ended) = match turn {
        Turn::Epoch => {
            executor.advance_epoch();
            return false;
        }
        Turn::Collect => {
            let outcome = caught(|| executor.collect().err().unwrap_or(Outcome::Done));
            if outcome == Outcome::Done {
                return false;
            }
            // It stands where there is room for it.
            if let Some(state) = fibers.iter_mut().find(|state| matches!(state, State::Resting(_))) {
                *state = State::Ended(outcome);
            } else if let Some(state) = fibers.last_mut() {
                *state = State::Ended(outcome);
            }
            return true;
        }
        Turn::Resume(number, slice) => {
            let Some(State::Resting(fiber)) = fibers.get(number as usize) else { return false };
            let fiber = *fiber;
            let mut rests = None;
            let ended = caught(|| {
                executor.resume(fiber, slice).unwrap_or_else(|why| {
                    rests = Some(why);
                    Outcome::Done
                })
            });
            record(executor, rests.unwrap_or("fiber ends"), number, counted);
            (number, rests.is_none().then_some(ended))
        }
        Turn::Cancel(number) => {
            let Some(State::Resting(fiber)) = fibers.get(number as usize) else { return false };
            let fiber = *fiber;
            let ended = caught(|| executor.cancel(fiber));
            record(executor, "fiber cancelled", number, counted);
            (number, Some(ended))
        }
    };
    let Some(ended) = ended else { return false };
    let crashed = matches!(ended, Outcome::Crashed(_));
    fibers[number as usize] = State::Ended(ended);
    crashed
}

/// What came of a turn, with the fuel left if it is counted.
fn record<E: Executor>(executor: &mut E, what: &str, number: u32, counted: bool) {
    let fuel = if counted { executor.fuel().cast_signed() } else { 0 };
    executor.record(what, vec![Value::I32(number.cast_signed()), Value::I64(fuel)]);
}
