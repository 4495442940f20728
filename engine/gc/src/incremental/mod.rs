//! `incremental`: non-moving tri-colour marking in bounded slices, with a snapshot-at-the-beginning barrier.
//!
//! Concept: Dijkstra's three colours (1978), with Yuasa's deletion barrier (1990). A cycle takes down what the roots
//! refer to, marks in slices between which the mutator runs, and leaves the blocks to a lazy sweep. The colour is the
//! collector's word; white, and grey or black, are told by it, and the grey objects are those that [`marking`] holds.
//! Mechanism: [`cycle`] with the argument why it is right; policy: [`pace`]; invariant: [`check`].
//!
//! Free memory is blocks of equal cells with free lists and large objects apart, as for `marksweep`. While a cycle is
//! under way every block is swept, and cells are allocated black; between cycles the sweep goes ahead of allocation, some
//! blocks for each block's worth, and what it has not come to when the next cycle begins is swept then, in its first pause.

mod check;
mod cycle;
mod marking;
mod pace;

use self::cycle::Cycles;
use crate::collector::{
    Account, AllocShape, BarrierShape, CodeShape, Collector, CollectorEntry, Constraints,
};
use crate::heap::HeapCore;
use crate::space::classes::MAX_SMALL;
use crate::verify::Facts;
use crate::{CollectKind, Error, ErrorKind, RootSet};

/// Units of a minor collection, which is a slice here.
const MINOR: u32 = 256;

const CONSTRAINTS: Constraints = Constraints {
    name: "incremental",
    code: CodeShape {
        alloc: AllocShape::FreeList,
        inline_max: MAX_SMALL,
        write_barrier: BarrierShape::Snapshot,
        barrier_on_roots: false,
        gc_word: true,
    },
    moves: false,
    collects: true,
    header_flags: 0,
    stress_kinds: &[
        CollectKind::Slice { objects: 1 },
        CollectKind::Slice { objects: 2 },
        CollectKind::Slice { objects: 5 },
        CollectKind::Slice { objects: 3 },
        CollectKind::Slice { objects: 8 },
        CollectKind::Slice { objects: 1 },
        CollectKind::Full,
    ],
    headroom: 150,
};

/// The registry's line.
pub(crate) const ENTRY: CollectorEntry = CollectorEntry {
    constraints: &CONSTRAINTS,
    about: "tri-colour marking in slices with a snapshot barrier, lazy sweep; nothing moves",
    make: || Box::new(Incremental(None)),
};

/// None before `start`.
struct Incremental(Option<Cycles>);

fn not_started() -> Error {
    Error::new(ErrorKind::Reservation { bytes: 0, os: 0 })
}

impl Incremental {
    fn cycles(&mut self) -> Result<&mut Cycles, Error> {
        self.0.as_mut().ok_or_else(not_started)
    }
}

// SAFETY: 1: cells and large objects are committed when they are made, apart from each other, and in regions.
// 2: nothing moves, no slot is written, and what is reachable has the live colour when the sweep begins (`cycle`), so
// it is left alone. 3: both phases are taken down in order; what frames refer to is followed last (`marking`). 4: `cells`.
// 5: type words are never written; the collector's word is a colour. 6: see `Blocks`, `Large`, `Marking`; words of the
// log are taken for hints. 7: `Blocks::list` gives out cells whose type word is 0. 8: there is no such failure.
unsafe impl Collector for Incremental {
    fn constraints(&self) -> &'static Constraints {
        &CONSTRAINTS
    }

    fn start(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        self.0 = Some(Cycles::new(core)?);
        Ok(())
    }

    fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        let cycles = self.0.as_mut()?;
        cycles.sweep_ahead(core, size);
        cycles.cells.alloc(core, size)
    }

    fn due(&self, core: &HeapCore, size: u32) -> Option<CollectKind> {
        let cycles = self.0.as_ref()?;
        let slice = |objects| CollectKind::Slice { objects };
        if !cycles.active {
            let starts = core.stress().barrier_slow || cycles.pace.starts(core, size);
            return starts.then_some(slice(pace::LEAST));
        }
        if cycles.taken() + u64::from(size) > core.max_bytes() {
            // What is left of this cycle is less work than a full collection.
            return Some(slice(u32::MAX));
        }
        let (logged, room) = core.log_fill();
        let paced = cycles.pace.slice(core, size, cycles.marking.room);
        paced.or((logged > room / 2).then_some(pace::LEAST)).map(slice)
    }

    fn collect(
        &mut self,
        core: &mut HeapCore,
        kind: CollectKind,
        need: u32,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let cycles = self.cycles()?;
        match kind {
            CollectKind::Slice { objects } => cycles.slice(core, objects, need, roots),
            CollectKind::Minor => cycles.slice(core, MINOR, need, roots),
            CollectKind::Full => cycles.at_once(core, need, roots),
        }
    }

    fn settle(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        self.cycles()?.cells.settle(core);
        Ok(())
    }

    fn cells(&self, core: &HeapCore, f: &mut dyn FnMut(u32, u32) -> Result<(), Error>) -> Result<(), Error> {
        self.0.as_ref().ok_or_else(not_started)?.cells.cells(core, f)
    }

    fn account(&self, core: &HeapCore) -> Account {
        self.0.as_ref().map_or_else(Account::default, |cycles| cycles.cells.account(core))
    }

    fn check(&self, core: &HeapCore, facts: &Facts<'_>) -> Result<(), Error> {
        self.0.as_ref().ok_or_else(not_started)?.check(core, facts)
    }
}
