//! Fibers: calls that can be suspended and go on later, so that several of a store take turns. No threads; a turn is a call of
//! [`Store::resume`].
//!
//! # Rules
//! 1. At a fuel point (the table is in `exec/meter.rs`): when nothing is left of the [`Slice`]'s fuel, the fiber suspends before
//!    anything is charged and before any effect. Otherwise the whole cost is charged, to the slice (which may be overdrawn) and to the
//!    store's budget (which may not: out of fuel ends the fiber). So at least one fuel point is passed in each turn.
//!    Bulk operations and growth are asked at their very beginning, before their checks and whatever they cost.
//! 2. Function entries and loop headers are epoch points too: when the store's epoch has come to the turn's deadline, the fiber
//!    suspends there, and this is asked before its fuel is. Bulk operations are no epoch points.
//! 3. What has been suspended at a fuel point starts over: its operands are there still, but its checks are made again, since
//!    other fibers may have dropped a segment, grown a table or written an element in the meantime.
//! 4. A host function that ends in [`crate::HostError::Yield`] suspends its fiber; at the next turn its values are the call's results.
//! 5. Only the turn of the innermost running fiber counts. A host function on a fiber may resume other fibers; the budget is
//!    shared, but the slice of the resumer is not charged for what they use. A nested [`Store::invoke`] on a fiber cannot be
//!    suspended: it is outside of all turns, and charges only the budget.
//! 6. Traps, uncaught exceptions, exhaustion and host errors end the fiber. So does a host function's panic, which goes on in the
//!    caller of [`Store::resume`].
//!
//! Each fiber has stacks of its own, and the limits of [`crate::Config`] hold for each. All slots of suspended fibers, and of those
//! that wait for others which their host functions have resumed, are roots.

use std::collections::BTreeMap;

use super::meter::{Stop, TurnLeft};
use super::run::Machine;
use crate::error::{Error, Resource, Result};
use crate::runtime::store::Store;
use crate::runtime::value::{FuncAddr, Value};

/// A call of a store that can be suspended; valid for that store, and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fiber(u64);

/// How long a turn may take. With neither limit it lasts until the fiber yields by itself or ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Fuel after whose use the fiber suspends at the next fuel point; at least 1.
    pub fuel: Option<u64>,
    /// Advances of the store's epoch after which it suspends at the next function entry or loop header; at least 1.
    pub epochs: Option<u64>,
}

/// How a turn ended.
#[derive(Clone, Debug)]
pub enum Turn {
    /// The fiber is suspended.
    Yielded(Yield),
    /// The call is over, with its results or its failure; the fiber is gone.
    Done(Result<Vec<Value>>),
}

/// Why a fiber was suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Yield {
    /// The fuel of the slice is used up.
    Fuel,
    /// The epochs of the slice have passed.
    Epoch,
    /// A host function asked for it.
    Host,
}

/// The stacks of a call that can go on.
struct Suspended {
    machine: Machine,
    func: FuncAddr,
}

/// The fibers of a store.
#[derive(Default)]
pub(crate) struct Fibers {
    next: u64,
    /// Those that are not over; `None` while one runs.
    alive: BTreeMap<u64, Option<Suspended>>,
    /// The stacks that wait below those which run, each for the next.
    waiting: Vec<Machine>,
}

impl Fibers {
    /// The stacks of suspended fibers, and those below the running one.
    pub(crate) fn machines(&self) -> impl Iterator<Item = &Machine> {
        let suspended = self.alive.values().flatten().map(|suspended| &suspended.machine);
        self.waiting.iter().chain(suspended)
    }

    /// The place of a fiber that is suspended.
    fn suspended(&mut self, fiber: Fiber) -> Result<&mut Option<Suspended>> {
        match self.alive.get_mut(&fiber.0) {
            Some(place) if place.is_some() => Ok(place),
            Some(_) => Err(Error::usage("the fiber is running")),
            None if fiber.0 < self.next => Err(Error::usage("the fiber is over")),
            None => Err(Error::usage("unknown fiber")),
        }
    }
}

impl Store {
    /// Prepares a call that can be suspended, with arguments of the function's parameter types. Nothing runs before
    /// [`Store::resume`].
    pub fn start_fiber(&mut self, func: FuncAddr, args: &[Value]) -> Result<Fiber> {
        let (args, results) = self.check_call(func, args)?;
        let machine = Machine::before_call(func, &args, results, &self.config)?;
        let fiber = Fiber(self.fibers.next);
        self.fibers.next += 1;
        self.fibers.alive.insert(fiber.0, Some(Suspended { machine, func }));
        Ok(fiber)
    }

    /// Gives a suspended fiber a turn. A fiber that is over, is running or is not of this store, and a slice of 0, are errors of
    /// kind [`crate::ErrorKind::Usage`]; beyond [`crate::Config::max_host_depth`] the call stack is exhausted. None of
    /// these changes the fiber. A failure of the fiber's own is in [`Turn::Done`].
    pub fn resume(&mut self, fiber: Fiber, slice: Slice) -> Result<Turn> {
        if slice.fuel == Some(0) || slice.epochs == Some(0) {
            return Err(Error::usage("a slice of 0"));
        }
        let place = self.fibers.suspended(fiber)?;
        if self.host_depth >= self.config.max_host_depth {
            return Err(Error::exhausted(Resource::CallStack));
        }
        let Suspended { mut machine, func } = place.take().ok_or_else(|| Error::crash("no such fiber"))?;
        let deadline = slice.epochs.map(|epochs| self.meter.epoch().saturating_add(epochs));
        let outer = self.meter.change_turn(Some(TurnLeft { fuel: slice.fuel, deadline }));
        self.fibers.waiting.push(std::mem::take(&mut self.machine));
        self.host_depth += 1;
        let outcome = self.go_on(&mut machine);
        self.host_depth -= 1;
        self.machine = self.fibers.waiting.pop().unwrap_or_default();
        self.meter.change_turn(outer);
        match outcome {
            Err(Stop::Suspend(why)) => {
                self.fibers.alive.insert(fiber.0, Some(Suspended { machine, func }));
                Ok(Turn::Yielded(why))
            }
            Err(Stop::Error(error)) => {
                self.fibers.alive.remove(&fiber.0);
                machine.resume_panic();
                Ok(Turn::Done(Err(error)))
            }
            Ok(()) => {
                self.fibers.alive.remove(&fiber.0);
                Ok(Turn::Done(self.results_of(func, &machine)))
            }
        }
    }

    fn results_of(&self, func: FuncAddr, machine: &Machine) -> Result<Vec<Value>> {
        let ty = self.func_type(func).ok_or_else(|| Error::crash("unknown function"))?;
        self.from_slots(machine.bottom(), &ty.results)
    }

    /// Gives up a suspended fiber: it does not go on, and what it holds is no root any more. What it has done stays. An
    /// error of kind [`crate::ErrorKind::Usage`] for any other fiber.
    pub fn cancel(&mut self, fiber: Fiber) -> Result<()> {
        self.fibers.suspended(fiber)?;
        self.fibers.alive.remove(&fiber.0);
        Ok(())
    }

    /// How many fibers are suspended, those included that had no turn yet.
    pub fn suspended_fibers(&self) -> usize {
        self.fibers.alive.values().flatten().count()
    }

    /// The epoch: how often it has been advanced.
    pub fn epoch(&self) -> u64 {
        self.meter.epoch()
    }

    /// Begins the next epoch; a host function may do so for the fiber that it runs on.
    pub fn advance_epoch(&mut self) {
        self.meter.advance_epoch();
    }
}
