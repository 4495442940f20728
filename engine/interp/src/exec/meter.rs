//! Fuel and turns: what a computation may still use, and what becomes of one that has used it up.
//!
//! | fuel point | cost |
//! |---|---|
//! | function entry, arrival at a loop header | 1 |
//! | bulk operation on arrays or tables | 1 per element |
//! | bulk operation on memories | 1 per started 64 bytes |
//! | growth within the limit | 1 per page or element |
//!
//! Bulk operations and growth are fuel points before anything else of the instruction, whatever they cost; they charge after their
//! bounds checks and before any effect. Two things are charged at once: the *budget* of the store, which ends the computation that exceeds it, and the *slice* of the turn under way,
//! which suspends it (see [`super::fiber`] for the rules). To keep this off the hot path both are folded into one counter, the *window*:
//! what may be charged without a look at either.
//!
//! Invariant: what has been charged is what `budget` and `turn` say has, and `window - room` beside it. The window is closed (0)
//! once the deadline of the turn has come, so that the next function entry or loop header finds out.

use super::fiber::Yield;
use crate::error::{Error, Resource, Result};

/// Why a computation stops before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    Error(Error),
    /// It goes on at the fiber's next turn.
    Suspend(Yield),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

/// What kind of place charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A function entry or loop header: an epoch point too.
    Control,
    /// A bulk operation or growth.
    Bulk,
}

/// What is left of a fiber's turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnLeft {
    /// Fuel; `None` if the turn has no limit of it.
    pub(crate) fuel: Option<u64>,
    /// The epoch at which the turn ends.
    pub(crate) deadline: Option<u64>,
}

/// The counters of a store.
#[derive(Debug)]
pub(crate) struct Meter {
    /// What is left of the window.
    room: u64,
    window: u64,
    budget: Option<u64>,
    epoch: u64,
    /// `None` outside of fibers, and in a host function's nested call on one.
    turn: Option<TurnLeft>,
}

impl Meter {
    pub(crate) fn new() -> Meter {
        Meter { room: u64::MAX, window: u64::MAX, budget: None, epoch: 0, turn: None }
    }

    /// Takes fuel, or says why the computation stops here; then nothing has been taken but, out of fuel, what was left.
    #[inline(always)]
    pub(crate) fn charge(&mut self, cost: u64, point: Point) -> Result<(), Stop> {
        match self.room.checked_sub(cost) {
            Some(room) => {
                self.room = room;
                Ok(())
            }
            None => self.charge_beyond(cost, point),
        }
    }

    /// A charge, of more than 0, that the window has no room for.
    #[cold]
    #[inline(never)]
    fn charge_beyond(&mut self, cost: u64, point: Point) -> Result<(), Stop> {
        self.settle();
        let outcome = self.charge_settled(cost, point);
        self.open();
        outcome
    }

    fn charge_settled(&mut self, cost: u64, point: Point) -> Result<(), Stop> {
        if point == Point::Control && self.is_due() {
            return Err(Stop::Suspend(Yield::Epoch));
        }
        if let Some(TurnLeft { fuel: Some(left), .. }) = &mut self.turn {
            if *left == 0 && point == Point::Control {
                return Err(Stop::Suspend(Yield::Fuel));
            }
            *left = left.saturating_sub(cost);
        }
        if let Some(left) = &mut self.budget {
            if *left < cost {
                *left = 0;
                return Err(Error::exhausted(Resource::Fuel).into());
            }
            *left -= cost;
        }
        Ok(())
    }

    /// The beginning of a bulk operation or growth: suspends if nothing is left of the turn's fuel.
    #[inline(always)]
    pub(crate) fn begin_bulk(&mut self) -> Result<(), Stop> {
        if self.room == 0 { self.begin_bulk_beyond() } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn begin_bulk_beyond(&mut self) -> Result<(), Stop> {
        self.settle();
        let over = matches!(self.turn, Some(TurnLeft { fuel: Some(0), .. }));
        self.open();
        if over { Err(Stop::Suspend(Yield::Fuel)) } else { Ok(()) }
    }

    /// Whether the deadline of the turn has come.
    fn is_due(&self) -> bool {
        self.turn.and_then(|turn| turn.deadline).is_some_and(|deadline| self.epoch >= deadline)
    }

    /// Books what the window has given away. It has no room until it is opened again.
    fn settle(&mut self) {
        let used = self.window - self.room;
        if let Some(left) = &mut self.budget {
            *left -= used;
        }
        if let Some(TurnLeft { fuel: Some(left), .. }) = &mut self.turn {
            *left -= used;
        }
        (self.window, self.room) = (0, 0);
    }

    fn open(&mut self) {
        let slice = self.turn.and_then(|turn| turn.fuel).unwrap_or(u64::MAX);
        self.window = if self.is_due() { 0 } else { self.budget.unwrap_or(u64::MAX).min(slice) };
        self.room = self.window;
    }

    /// Makes another turn, or none, the one under way; gives what is left of the one before.
    pub(crate) fn change_turn(&mut self, turn: Option<TurnLeft>) -> Option<TurnLeft> {
        self.settle();
        let before = std::mem::replace(&mut self.turn, turn);
        self.open();
        before
    }

    /// Whether what runs can be suspended.
    pub(crate) fn is_in_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// The budget left.
    pub(crate) fn budget(&self) -> Option<u64> {
        Some(self.budget? - (self.window - self.room))
    }

    pub(crate) fn set_budget(&mut self, budget: Option<u64>) {
        self.settle();
        self.budget = budget;
        self.open();
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn advance_epoch(&mut self) {
        self.settle();
        self.epoch = self.epoch.saturating_add(1);
        self.open();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(fuel: Option<u64>, deadline: Option<u64>) -> Option<TurnLeft> {
        Some(TurnLeft { fuel, deadline })
    }

    fn suspends(outcome: Result<(), Stop>, why: Yield) -> bool {
        matches!(outcome, Err(Stop::Suspend(found)) if found == why)
    }

    #[test]
    fn a_slice_may_be_overdrawn_but_not_begun_anew() {
        let mut meter = Meter::new();
        meter.set_budget(Some(100));
        meter.change_turn(turn(Some(3), None));
        meter.charge(2, Point::Control).unwrap();
        meter.charge(50, Point::Bulk).unwrap();
        assert_eq!(meter.budget(), Some(48));
        meter.charge(0, Point::Bulk).unwrap();
        assert!(suspends(meter.begin_bulk(), Yield::Fuel));
        assert!(suspends(meter.charge(1, Point::Control), Yield::Fuel));
        assert_eq!(meter.budget(), Some(48));
        meter.change_turn(turn(Some(1), None));
        meter.begin_bulk().unwrap();
        assert!(matches!(meter.charge(49, Point::Bulk), Err(Stop::Error(_))));
        assert_eq!(meter.budget(), Some(0));
    }

    #[test]
    fn turns_are_charged_for_themselves_and_the_budget_for_all() {
        let mut meter = Meter::new();
        meter.set_budget(Some(100));
        meter.change_turn(turn(Some(10), None));
        meter.charge(4, Point::Control).unwrap();
        let outer = meter.change_turn(None);
        assert_eq!(outer.and_then(|turn| turn.fuel), Some(6));
        meter.charge(20, Point::Control).unwrap();
        meter.change_turn(outer);
        assert_eq!(meter.budget(), Some(76));
        meter.charge(6, Point::Control).unwrap();
        assert!(suspends(meter.charge(1, Point::Control), Yield::Fuel));
        meter.set_budget(None);
        assert!(suspends(meter.charge(1, Point::Control), Yield::Fuel));
        assert_eq!(meter.budget(), None);
    }

    #[test]
    fn a_deadline_stops_at_control_and_not_in_bulk() {
        let mut meter = Meter::new();
        meter.change_turn(turn(Some(9), Some(2)));
        meter.advance_epoch();
        meter.charge(1, Point::Control).unwrap();
        meter.advance_epoch();
        meter.charge(7, Point::Bulk).unwrap();
        meter.charge(1, Point::Bulk).unwrap();
        // Both reasons hold: the epoch is the first.
        assert!(suspends(meter.begin_bulk(), Yield::Fuel));
        assert!(suspends(meter.charge(1, Point::Control), Yield::Epoch));
        meter.change_turn(None);
        meter.charge(u64::MAX, Point::Control).unwrap();
        meter.charge(u64::MAX, Point::Control).unwrap();
        assert_eq!(meter.epoch(), 2);
    }
}
