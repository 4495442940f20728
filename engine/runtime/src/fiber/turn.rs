//! Turns: how fuel is parted between the present turn and the rest, and when a turn is over.
//!
//! Code knows one counter, `StoreCtx::fuel`, and calls the runtime when it is used up. In a turn of limited fuel it is
//! the smaller one of what is left of the turn and of the budget; the difference is kept beside it.

use std::sync::atomic::Ordering;

use super::{Slice, Yield};
use crate::store::State;

/// The turn of the innermost fiber.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Turns {
    /// How much more than `StoreCtx::fuel` is left of the turn's fuel; `None` = it has no limit.
    excess: Option<i64>,
}

/// What a resumer's turn had left.
pub(super) struct Outer {
    fuel: Option<i64>,
    deadline: u64,
}

impl State {
    /// Fuel left altogether; negative = used up.
    pub(crate) fn fuel(&self) -> i64 {
        // SAFETY: the context is pinned; generated code is not running while `self` is borrowed here.
        let ctx = unsafe { &*self.ctx.as_ptr() };
        ctx.fuel.saturating_add(ctx.fuel_reserve)
    }

    /// Sets the fuel left altogether; the turn keeps what it had.
    pub(crate) fn set_fuel(&mut self, fuel: i64) {
        self.part(fuel, self.turn_fuel());
    }

    /// Takes fuel that is there; the turn may be overdrawn.
    pub(crate) fn take_fuel(&mut self, cost: u64) {
        // SAFETY: the context is pinned; generated code is not running while `self` is borrowed here.
        let ctx = unsafe { &mut *self.ctx.as_ptr() };
        ctx.fuel = ctx.fuel.saturating_sub_unsigned(cost);
    }

    /// What is left of the turn's fuel.
    fn turn_fuel(&self) -> Option<i64> {
        // SAFETY: the context is pinned; generated code is not running while `self` is borrowed here.
        let fuel = unsafe { (*self.ctx.as_ptr()).fuel };
        self.fibers.turns.excess.map(|excess| fuel.saturating_add(excess))
    }

    /// Parts `budget`: what the turn may have goes where code counts.
    fn part(&mut self, budget: i64, turn: Option<i64>) {
        // SAFETY: the context is pinned; generated code is not running while `self` is borrowed here.
        let ctx = unsafe { &mut *self.ctx.as_ptr() };
        ctx.fuel = turn.map_or(budget, |turn| turn.min(budget));
        ctx.fuel_reserve = budget.saturating_sub(ctx.fuel);
        self.fibers.turns.excess = turn.map(|turn| turn.saturating_sub(ctx.fuel));
    }

    fn set_deadline(&mut self, deadline: u64) -> u64 {
        // SAFETY: the context is pinned; generated code is not running while `self` is borrowed here.
        let ctx = unsafe { &mut *self.ctx.as_ptr() };
        std::mem::replace(&mut ctx.epoch_deadline, deadline)
    }

    /// A fiber's turn begins. The resumer's does not pay for it.
    pub(super) fn begin_turn(&mut self, slice: Slice) -> Outer {
        let fuel = self.turn_fuel();
        let turn = slice.fuel.map(|fuel| i64::try_from(fuel).unwrap_or(i64::MAX));
        self.part(self.fuel().max(0), turn);
        let now = self.fibers.epoch.load(Ordering::Relaxed);
        let deadline = slice.epochs.map_or(u64::MAX, |epochs| now.saturating_add(epochs));
        Outer { fuel, deadline: self.set_deadline(deadline) }
    }

    /// It is over.
    pub(super) fn end_turn(&mut self, outer: Outer) {
        self.part(self.fuel().max(0), outer.fuel);
        self.set_deadline(outer.deadline);
    }

    /// Why the turn is over at this point, if it is.
    pub(super) fn turn_over(&self, epochs_count: bool) -> Option<Yield> {
        // SAFETY: the context is pinned; generated code is not running while `self` is borrowed here.
        let deadline = unsafe { (*self.ctx.as_ptr()).epoch_deadline };
        if epochs_count && self.fibers.epoch.load(Ordering::Relaxed) >= deadline {
            return Some(Yield::Epoch);
        }
        self.turn_fuel().filter(|&left| left <= 0).map(|_| Yield::Fuel)
    }
}
