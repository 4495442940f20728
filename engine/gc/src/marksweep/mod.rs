//! `marksweep`: mark and lazy sweep after McCarthy, over segregated free lists; nothing ever moves.
//!
//! Concept: small objects lie in blocks of equal cells, large ones apart. A collection marks from the roots, frees the
//! large dead at once, and leaves each block to be swept when its size class next needs cells. Policy: collect when
//! what survived the last collection and what was allocated since reach the trigger together, whether the dead are swept
//! or not; the trigger is twice what survived, at least the initial size and at most the limit. Free blocks beyond the number in use go back to the operating system when the sweep is over.
//!
//! Invariant: between collections what is reachable is marked where its block is not swept yet, and a mark bit means
//! nothing once its block is swept; before the next marking every block is swept and every mark cleared.

use crate::collector::{
    Account, AllocShape, BarrierShape, CodeShape, Collector, CollectorEntry, Constraints,
};
use crate::heap::HeapCore;
use crate::space::cells::Cells;
use crate::space::classes::MAX_SMALL;
use crate::space::mark::Marker;
use crate::verify::{Facts, broken};
use crate::{CollectKind, Error, ErrorKind, RootPhase, RootSet};

const CONSTRAINTS: Constraints = Constraints {
    name: "marksweep",
    code: CodeShape {
        alloc: AllocShape::FreeList,
        inline_max: MAX_SMALL,
        write_barrier: BarrierShape::None,
        barrier_on_roots: false,
        gc_word: false,
    },
    moves: false,
    collects: true,
    header_flags: 0,
    stress_kinds: &[CollectKind::Full],
    headroom: 150,
};

/// The registry's line.
pub(crate) const ENTRY: CollectorEntry = CollectorEntry {
    constraints: &CONSTRAINTS,
    about: "mark and lazy sweep over segregated free lists; nothing moves",
    make: || Box::new(MarkSweep::default()),
};

#[derive(Default)]
struct MarkSweep {
    /// None before `start`.
    cells: Option<Cells>,
    /// Bytes of survivors and of what was allocated since that ask for a collection.
    trigger: u64,
    /// Bytes of the cells that survived the last collection.
    survived: u64,
    /// [`Cells::clock`] then.
    collected: u64,
}

fn not_started() -> Error {
    Error::new(ErrorKind::Reservation { bytes: 0, os: 0 })
}

// SAFETY: 1: cells and large objects are committed when they are made, apart from each other, and in regions.
// 2: nothing moves, and what is reached is marked, so the sweep leaves it alone. 3: `collect`. 4: `cells`. 5: the
// collector's word is 0 outside free cells. 6: see `Blocks`, `Large`, `Marker`. 7: `Blocks::list` gives out cells whose
// type word is 0. 8: there is no such failure.
unsafe impl Collector for MarkSweep {
    fn constraints(&self) -> &'static Constraints {
        &CONSTRAINTS
    }

    fn start(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        self.cells = Some(Cells::start(core)?);
        self.trigger = core.initial_bytes();
        Ok(())
    }

    fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        self.cells.as_mut()?.alloc(core, size)
    }

    fn due(&self, core: &HeapCore, size: u32) -> Option<CollectKind> {
        let allocated = self.cells.as_ref()?.clock(core).saturating_sub(self.collected);
        let used = self.survived + allocated + u64::from(size);
        (used > self.trigger && self.trigger < core.max_bytes()).then_some(CollectKind::Full)
    }

    fn collect(
        &mut self,
        core: &mut HeapCore,
        _kind: CollectKind,
        need: u32,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let cells = self.cells.as_mut().ok_or_else(not_started)?;
        cells.blocks.retire(core);
        cells.settle(core);
        cells.clear_marks();
        let mut marker = Marker::default();
        marker.roots(core, cells, RootPhase::State, roots)?;
        marker.drain(core, cells)?;
        let from_state = marker.objects;
        marker.roots(core, cells, RootPhase::Frames, roots)?;
        marker.drain(core, cells)?;
        cells.sweep_marked(core);
        core.stats.full += 1;
        core.stats.objects_survived += marker.objects;
        core.stats.bytes_survived += marker.bytes;
        core.stats.survived_from_frames_only += marker.objects - from_state;
        (self.survived, self.collected) = (marker.room, cells.clock(core));
        let wanted = (self.survived + u64::from(need)) * 2;
        self.trigger = wanted.max(core.initial_bytes()).min(core.max_bytes());
        Ok(())
    }

    fn settle(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        self.cells.as_mut().ok_or_else(not_started)?.settle(core);
        Ok(())
    }

    fn cells(&self, core: &HeapCore, f: &mut dyn FnMut(u32, u32) -> Result<(), Error>) -> Result<(), Error> {
        self.cells.as_ref().ok_or_else(not_started)?.cells(core, f)
    }

    fn account(&self, core: &HeapCore) -> Account {
        self.cells.as_ref().map_or_else(Account::default, |cells| cells.account(core))
    }

    fn check(&self, core: &HeapCore, facts: &Facts<'_>) -> Result<(), Error> {
        let cells = self.cells.as_ref().ok_or_else(not_started)?;
        let doomed = |&&at: &&u32| facts.is_reached(at) && cells.blocks.is_doomed(at);
        if let Some(&at) = facts.objects().iter().find(doomed) {
            return broken(at, "reachable, but given to the sweep");
        }
        cells.check(core)
    }
}
