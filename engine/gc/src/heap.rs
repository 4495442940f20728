//! One store's heap: reservation with guards, allocation window, collector, statistics.
//!
//! Generated code bumps the window or pops free lists and falls back on the `alloc_*` functions here, which run the stress modes, ask the
//! collector, and write the header. Checked access for the runtime is in `access.rs`, what collector and heap share
//! in `core.rs`.
//!
//! Invariant: a heap on which a collection or a verifier run around one has failed hands out no more memory.

mod access;
mod barrier;
mod core;
mod live;
mod stats;
#[cfg(test)]
mod tests;
mod walk;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use self::core::measure;
pub use self::core::{HeapCore, Region, RegionId};
pub use self::stats::{Pauses, Stats};
use crate::collector::{Collector, Constraints};
use crate::header::{ARRAY_LENGTH, GC_WORD, HOST_INDEX, TYPE_WORD};
use crate::layout::{HOST_SIZE, Layout};
use crate::layout_table::LayoutTable;
use crate::memory::{FULL_SPAN, Memory};
use crate::schedule::{Agenda, Schedule, Stress};
use crate::types::{RecGroup, TypeId, TypeRegistry};
use crate::verify::Verifier;
use crate::{CollectorEntry, Error, ErrorKind, GcRef, Mutator, RootSet};

/// Why an allocation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocError {
    /// The limit is reached even after a full collection.
    OutOfMemory,
    /// Larger than [`MAX_OBJECT_SIZE`](crate::layout::MAX_OBJECT_SIZE).
    TooLarge,
    /// The verifier or a collection found a broken invariant (kept in [`Heap::verify_failure`]).
    Corrupt,
}

/// Which collection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CollectKind {
    /// A slice of an incremental collection that looks at so many objects, where the collector has slices; else minor.
    Slice {
        /// At most, and at least one unless nothing is left to do.
        objects: u32,
    },
    /// Young objects only, or what reference counts tell, where the collector has that; else full.
    Minor,
    /// Everything.
    Full,
}

/// Why a collection runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    /// The collector's policy, or a full heap; so many bytes are about to be allocated.
    Policy { need: u32 },
    /// A stress mode or a schedule, likewise.
    Scheduled { need: u32 },
    /// [`Heap::collect`].
    Asked,
}

/// A heap's configuration.
#[derive(Clone, Debug)]
pub struct HeapConfig {
    /// Bytes of live and dead objects that the mutator may see at most (a semi-space counts once).
    ///
    /// This bounds objects, not memory. Where nothing moves, a block serves one [size class](crate::size_class) as long
    /// as one object in it lives, so a program that leaves an object in each block of each class makes a heap of this
    /// limit commit about 28 times as much (the number of classes), within half of the reservation; holes between
    /// large objects come on top. A bound there would refuse objects far below this limit.
    pub max_bytes: u64,
    /// Bytes to start with.
    pub initial_bytes: u64,
    /// Testing modes.
    pub stress: Stress,
    /// Bytes of address space to reserve instead of 4 GiB, for tools that refuse huge mappings; `max_bytes` is lowered
    /// to what fits. With less than 4 GiB it no longer holds that every 32-bit pattern stays inside the reservation:
    /// generated code on a corrupt heap may then touch foreign memory.
    pub reservation: Option<u64>,
}

impl Default for HeapConfig {
    fn default() -> Self {
        HeapConfig {
            max_bytes: 1 << 30,
            initial_bytes: 1 << 20,
            stress: Stress::default(),
            reservation: None,
        }
    }
}

/// A store's heap. Offset 0 is null; the first 64 KiB of the reservation are never mapped. The reservation is 4 GiB
/// plus a guard behind it, so that base + any u32 + any field offset stays inside it.
pub struct Heap {
    core: HeapCore,
    collector: Box<dyn Collector>,
    verifier: Verifier,
    failure: Option<Error>,
    agenda: Agenda,
}

impl std::fmt::Debug for Heap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.collector.constraints().name;
        f.debug_struct("Heap")
            .field("collector", &name)
            .field("used", &self.used_bytes())
            .finish_non_exhaustive()
    }
}

impl Heap {
    /// Reserves a heap for `collector`.
    ///
    /// # Errors
    /// `Reservation`.
    pub fn new(
        types: Arc<TypeRegistry>,
        collector: &CollectorEntry,
        config: HeapConfig,
    ) -> Result<Heap, Error> {
        let memory = Memory::reserve(config.reservation.unwrap_or(FULL_SPAN))?;
        let mut core = HeapCore::new(memory, LayoutTable::new(types), config);
        let mut collector = (collector.make)();
        collector.start(&mut core)?;
        let (verifier, agenda) = (Verifier::default(), Agenda::default());
        Ok(Heap { core, collector, verifier, failure: None, agenda })
    }

    /// Holds `group` for the heap's life, so that the ids of its types keep their meaning here. The runtime calls it
    /// for each module's groups before code of the module runs.
    pub fn retain_group(&mut self, group: RecGroup) {
        self.core.layouts.retain(group);
    }

    /// The collector's needs.
    pub fn constraints(&self) -> &'static Constraints {
        self.collector.constraints()
    }

    /// Address of heap offset 0 (constant).
    pub fn base(&self) -> *mut u8 {
        self.core.memory.base()
    }

    /// The reserved address range, guards included (for a signal handler).
    pub fn reservation(&self) -> Range<usize> {
        self.core.memory.addresses()
    }

    /// What the heap shares with generated code (stable address).
    pub fn mutator(&mut self) -> *mut Mutator {
        self.core.mutator()
    }

    /// The testing modes.
    pub fn stress(&self) -> Stress {
        self.core.stress()
    }

    /// Changes the testing modes, the window with them. Only while no generated code caches the mutator's words.
    pub fn set_stress(&mut self, stress: Stress) {
        self.core.set_stress(stress);
        self.close_if_counting();
    }

    /// Starts a schedule in the place of the one before. Safepoints count from the heap's creation, and so do allocations,
    /// but only those on the slow path: all of them from the moment on that a schedule or a mode counts allocations, up to
    /// its last event, and before that those that found no room inline. So `n` of [`Trigger::Allocation`](crate::Trigger)
    /// is the n-th allocation of a program if the schedule is set on a heap that has allocated nothing inline.
    pub fn set_schedule(&mut self, schedule: &Schedule) {
        self.agenda.set(schedule);
        self.close_if_counting();
    }

    /// Turns the checks of feature `checked` on or off: each access to the heap against what its words are (without the
    /// feature nothing happens). Off at first: whoever turns them on tells the heap of inline allocations by
    /// [`Heap::declare_object`], and does not damage the heap.
    pub fn set_checked(&mut self, on: bool) {
        self.core.memory.set_checked(on);
    }

    /// Inline allocation has taken room for an object of type `ty`, with `len` elements if it is an array, at `object`,
    /// and is about to write it. For the checks alone.
    pub fn declare_object(&mut self, object: GcRef, ty: TypeId, len: u32) {
        self.core.made(object.0, ty, len);
    }

    /// Passes a safepoint: collects if a stress mode or the schedule says so. Every reference that the caller still
    /// needs is in `roots`.
    ///
    /// # Errors
    /// As for [`Heap::collect`].
    pub fn safepoint(&mut self, roots: &mut dyn RootSet) -> Result<(), Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.core.stats.safepoints += 1;
        let due = self.agenda.safepoint(&self.core.stress(), self.constraints().stress_kinds);
        due.into_iter().try_for_each(|kind| self.run(kind, Cause::Scheduled { need: 0 }, roots))
    }

    /// Allocates a zeroed struct; may collect first, so every reference that the caller still needs is in `roots`.
    /// Fields of non-nullable types must be written before the next safepoint.
    ///
    /// # Errors
    /// See [`AllocError`]; `Corrupt` also when `ty` is no live struct type.
    pub fn alloc_struct(&mut self, ty: TypeId, roots: &mut dyn RootSet) -> Result<GcRef, AllocError> {
        let size = match self.core.layouts.get(ty) {
            Some(Layout::Struct(layout)) => layout.size,
            _ => return Err(self.fail(Error::corrupt("allocation of no struct type", ty.0))),
        };
        self.alloc(ty, size, 0, roots)
    }

    /// Allocates a zeroed array with its length set; may collect first. Elements of a non-nullable type must be written
    /// before the next safepoint.
    ///
    /// # Errors
    /// See [`AllocError`]; `Corrupt` also when `ty` is no live array type.
    pub fn alloc_array(
        &mut self,
        ty: TypeId,
        len: u32,
        roots: &mut dyn RootSet,
    ) -> Result<GcRef, AllocError> {
        let size = match self.core.layouts.get(ty) {
            Some(Layout::Array(layout)) => layout.size(len).ok_or(AllocError::TooLarge)?,
            _ => return Err(self.fail(Error::corrupt("allocation of no array type", ty.0))),
        };
        let array = self.alloc(ty, size, len, roots)?;
        self.set_word(array, ARRAY_LENGTH, len)?;
        Ok(array)
    }

    /// Allocates a host box of index `host`; may collect first.
    ///
    /// # Errors
    /// See [`AllocError`].
    pub fn alloc_host(&mut self, host: u32, roots: &mut dyn RootSet) -> Result<GcRef, AllocError> {
        let boxed = self.alloc(self.core.layouts.registry().host_type(), HOST_SIZE, 0, roots)?;
        self.set_word(boxed, HOST_INDEX, host)?;
        Ok(boxed)
    }

    /// Forces a collection; a full one also completes what the collector would put off. A collector that never collects
    /// does nothing.
    ///
    /// # Errors
    /// `Verify` when a verifier run around it fails, `Corrupt` when the collection itself meets a bad word; the heap is
    /// unusable after both. `Reservation` when the operating system has no memory for it; nothing has changed then.
    pub fn collect(&mut self, kind: CollectKind, roots: &mut dyn RootSet) -> Result<(), Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.run(kind, Cause::Asked, roots)
    }

    /// Re-traces from `roots` and checks every object; independent of the collector. A finding leaves the heap usable.
    ///
    /// # Errors
    /// `Verify`.
    pub fn verify(&mut self, roots: &mut dyn RootSet) -> Result<(), Error> {
        self.core.check_mutator()?;
        self.core.stats.verifications += 1;
        self.verifier.run(&self.core, &*self.collector, roots)
    }

    /// The finding behind [`AllocError::Corrupt`].
    pub fn verify_failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let mut stats = self.core.stats;
        stats.bytes_allocated += self.collector.account(&self.core).uncounted;
        stats.log_lost += self.core.log_lost();
        stats
    }

    /// How long collections, and sweeping between them, took.
    pub fn pauses(&self) -> &Pauses {
        &self.core.pauses
    }

    /// Mutator-visible bytes in use.
    pub fn used_bytes(&self) -> u64 {
        self.collector.account(&self.core).used
    }

    /// The limit in force: the configured one, or less where the reservation holds less.
    pub fn max_bytes(&self) -> u64 {
        self.core.max_bytes()
    }

    /// Allocates `size` bytes, zeroed but for the header; `len` is the length that an array will get.
    fn alloc(
        &mut self,
        ty: TypeId,
        size: u32,
        len: u32,
        roots: &mut dyn RootSet,
    ) -> Result<GcRef, AllocError> {
        if self.failure.is_some() {
            return Err(AllocError::Corrupt);
        }
        self.core.check_mutator().map_err(|error| self.fail(error))?;
        self.core.stats.slow_allocations += 1;
        let constraints = self.collector.constraints();
        let due = self.agenda.allocation(&self.core.stress(), constraints.stress_kinds);
        self.close_if_counting();
        for kind in due {
            self.run(kind, Cause::Scheduled { need: size }, roots)
                .map_err(|error| self.alloc_error(&error))?;
        }
        if let Some(kind) = self.collector.due(&self.core, size) {
            self.run(kind, Cause::Policy { need: size }, roots).map_err(|error| self.alloc_error(&error))?;
        }
        let at = match self.collector.alloc(&mut self.core, size) {
            Some(at) => at,
            None => {
                let full = self.used_bytes() + u64::from(size) > self.core.max_bytes();
                self.core.stats.limit_hits += u64::from(full);
                if u64::from(size) > self.core.max_bytes() {
                    return Err(AllocError::OutOfMemory);
                }
                let cause = Cause::Policy { need: size };
                self.run(CollectKind::Full, cause, roots).map_err(|error| self.alloc_error(&error))?;
                self.collector.alloc(&mut self.core, size).ok_or(AllocError::OutOfMemory)?
            }
        };
        self.core.made(at, ty, len);
        let zeroed = self.core.runtime_view_at(at).and_then(|view| view.fill(at, size as usize, 0));
        if zeroed.is_none() {
            return Err(self.fail(Error::corrupt("the collector allocated outside its regions", at)));
        }
        let object = GcRef(at);
        self.set_word(object, TYPE_WORD, ty.0)?;
        self.set_word(object, GC_WORD, self.core.fresh())?;
        Ok(object)
    }

    fn close_if_counting(&mut self) {
        let stress = self.core.stress().closes_window();
        self.core.close(stress || self.agenda.counts_allocations());
    }

    /// A collection with the verifier around it, if that is on.
    fn run(&mut self, kind: CollectKind, cause: Cause, roots: &mut dyn RootSet) -> Result<(), Error> {
        let outcome = self.run_unguarded(kind, cause, roots);
        if let Err(error) = &outcome
            && !matches!(error.kind(), ErrorKind::Reservation { .. })
        {
            self.failure = Some(error.clone());
        }
        outcome
    }

    fn run_unguarded(
        &mut self,
        kind: CollectKind,
        cause: Cause,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        self.core.check_mutator()?;
        let verify = self.core.stress().verify;
        if verify {
            self.verify(roots)?;
        }
        if !self.collector.constraints().collects {
            return Ok(());
        }
        let need = match cause {
            Cause::Policy { need } | Cause::Scheduled { need } => need,
            Cause::Asked => 0,
        };
        let complete = cause == Cause::Asked && kind == CollectKind::Full;
        let start = Instant::now();
        let mut outcome = self.collector.collect(&mut self.core, kind, need, roots);
        if outcome.is_ok() && (complete || self.core.stress().settle) {
            outcome = self.collector.settle(&mut self.core);
        }
        self.core.pauses.add(start.elapsed());
        outcome?;
        self.core.stats.collections += 1;
        self.core.stats.forced += u64::from(!matches!(cause, Cause::Policy { .. }));
        if verify { self.verify(roots) } else { Ok(()) }
    }

    fn fail(&mut self, error: Error) -> AllocError {
        self.failure = Some(error);
        AllocError::Corrupt
    }

    fn alloc_error(&self, error: &Error) -> AllocError {
        match error.kind() {
            ErrorKind::Reservation { .. } => AllocError::OutOfMemory,
            _ => AllocError::Corrupt,
        }
    }

    /// Writes a word of a fresh object.
    fn set_word(&mut self, object: GcRef, offset: u32, word: u32) -> Result<(), AllocError> {
        let written =
            self.core.runtime_view_at(object.0).and_then(|view| view.write_u32(object.0 + offset, word));
        written.ok_or(AllocError::Corrupt)
    }
}
