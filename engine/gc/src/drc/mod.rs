//! `drc`: deferred reference counting after Deutsch & Bobrow ("An efficient, incremental, automatic garbage
//! collector", 1976), with a backup trace for cycles (after Weizenbaum, 1969); nothing ever moves.
//!
//! Concept: the collector's word of an object counts the references from fields of objects, dead ones included, and
//! from globals and tables. References from frames, segments, exceptions and handles are *deferred*: they are not
//! counted, but shown at each collection. An object of count 0 is dead unless a deferred root refers to it.
//!
//! Mechanism: a minor collection ([`reclaim`]) *pins* what deferred roots refer to, looks at the objects that may have
//! count 0, and frees those that are not pinned, with all that they alone refer to. A full one also marks from all
//! roots and frees what dead cycles keep ([`cycles`]). Objects of count 0 are found in four places: the barrier's log
//! (counts that fell to 0), the zero-count table (large objects since their allocation, and what was pinned last
//! time), and the blocks of which cells were handed out. When the log has lost entries, all objects are looked at.
//! Policy: [`pace`].
//!
//! Invariant, checked by [`check`]: outside a collection each count is exact, each object of count 0 is in one of those
//! places, an object says that it is logged if and only if it is, once, and no object is marked. Only collections free
//! objects, so what the places name stays an object.

mod check;
mod cycles;
mod pace;
mod reclaim;

use crate::collector::{
    Account, AllocShape, BarrierShape, CodeShape, Collector, CollectorEntry, Constraints,
};
use crate::header::GC_WORD;
use crate::heap::HeapCore;
use crate::space::cells::Cells;
use crate::space::classes::MAX_SMALL;
use crate::verify::Facts;
use crate::{COUNT_LOGGED, COUNT_ONE, CollectKind, Error, ErrorKind, RootSet};

const CONSTRAINTS: Constraints = Constraints {
    name: "drc",
    code: CodeShape {
        alloc: AllocShape::FreeList,
        inline_max: MAX_SMALL,
        write_barrier: BarrierShape::Count,
        barrier_on_roots: true,
        gc_word: true,
    },
    moves: false,
    collects: true,
    header_flags: 0,
    stress_kinds: &[CollectKind::Minor, CollectKind::Minor, CollectKind::Minor, CollectKind::Full],
    headroom: 150,
};

/// The registry's line.
pub(crate) const ENTRY: CollectorEntry = CollectorEntry {
    constraints: &CONSTRAINTS,
    about: "deferred reference counting (Deutsch & Bobrow) with a backup trace for cycles; nothing moves",
    make: || Box::new(Drc::default()),
};

/// Entries of the barrier's log.
const LOG: usize = 1 << 15;

#[derive(Default)]
struct Drc {
    /// None before `start`.
    cells: Option<Cells>,
    /// The zero-count table: objects whose count was 0 when they were put here, each once.
    zeros: Vec<u32>,
    pace: pace::Pace,
}

fn not_started() -> Error {
    Error::new(ErrorKind::Reservation { bytes: 0, os: 0 })
}

/// Bytes taken, those in free lists included: what is known without a walk.
fn taken(cells: &Cells) -> u64 {
    cells.blocks.taken() + cells.large.used()
}

// SAFETY: 1: cells and large objects are committed when they are made, apart from each other, and in regions.
// 2: nothing moves and no slot is written. With exact counts an object that is reached from a root is pinned or counted
// by a slot of a reachable object, a global or a table, so `reclaim` leaves it alone; `cycles` marks it. 3: `reclaim`
// asks in that order and follows nothing; for `cycles` see `cycles::collect`. A slot that is shown twice is pinned or
// marked once. 4: `cells`. 5: `gc_word` declares the counts; marks lie outside of objects. 6: see `Blocks`, `Large`,
// `Marker`; whatever the log, the fields and the roots name is looked up in the space before it is used, each object is
// freed once, and an impossible count ends the collection. 7: `Blocks::list` gives out cells whose type word is 0.
// 8: there is no such failure.
unsafe impl Collector for Drc {
    fn constraints(&self) -> &'static Constraints {
        &CONSTRAINTS
    }

    fn start(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        core.make_log(LOG);
        self.cells = Some(Cells::start(core)?);
        self.pace.start(core);
        Ok(())
    }

    fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        let at = self.cells.as_mut()?.alloc(core, size)?;
        if size > MAX_SMALL {
            self.zeros.push(at);
        }
        Some(at)
    }

    fn due(&self, core: &HeapCore, size: u32) -> Option<CollectKind> {
        self.pace.due(core, self.cells.as_ref()?, size)
    }

    fn collect(
        &mut self,
        core: &mut HeapCore,
        kind: CollectKind,
        need: u32,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let cells = self.cells.as_mut().ok_or_else(not_started)?;
        let full = kind == CollectKind::Full;
        cells.blocks.retire(core);
        let pins = reclaim::collect(core, cells, &mut self.zeros, roots)?;
        if full {
            cycles::collect(core, cells, roots)?;
            core.stats.full += 1;
        } else {
            core.stats.minor += 1;
        }
        // With exact counts, whatever else has count 0 is free now.
        for (index, &at) in pins.objects.iter().enumerate() {
            if count(core, cells, at) != Some(0) {
                continue;
            }
            self.zeros.push(at);
            if !full {
                core.stats.objects_survived += 1;
                core.stats.bytes_survived += u64::from(cells.measured(core, at)?.size);
                core.stats.survived_from_frames_only += u64::from(index >= pins.of_state);
            }
        }
        self.pace.collected(core, taken(cells), need, full);
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
        cells.check(core)?;
        check::counts(facts)?;
        check::zeros(core, cells, &self.zeros, facts)
    }
}

/// The count of the object at `at`; `None` if there is none.
#[inline]
fn count(core: &HeapCore, cells: &Cells, at: u32) -> Option<u32> {
    cells.find(core, at)?.0.read_u32(at + GC_WORD).map(|word| word / COUNT_ONE)
}

/// Notes that the log does not hold the object at `at` any more, if there is one.
fn unlog(core: &HeapCore, cells: &Cells, at: u32) {
    if let Some((view, _)) = cells.find(core, at)
        && let Some(word) = view.read_u32(at + GC_WORD)
    {
        view.write_u32(at + GC_WORD, word & !COUNT_LOGGED);
    }
}

/// Takes a reference away from the object at `at`; returns how many are left.
///
/// # Errors
/// `Corrupt` if there is no such object, or its count says that nothing refers to it.
#[inline]
fn lose(core: &HeapCore, cells: &Cells, at: u32) -> Result<u32, Error> {
    let Some((view, _)) = cells.find(core, at) else {
        return Err(Error::corrupt("reference to something that is no object", at));
    };
    let left = view.read_u32(at + GC_WORD).and_then(|word| word.checked_sub(COUNT_ONE));
    let left = left.ok_or_else(|| Error::corrupt("count below the references", at))?;
    view.write_u32(at + GC_WORD, left);
    Ok(left / COUNT_ONE)
}
