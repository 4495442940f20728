//! What counts cannot tell: a trace finds dead cycles, and what hangs on them.
//!
//! What barriers have missed a trace would heal without a word; so that it is found where it leaks, it ends the collection
//! instead. An object that is dead has a count when the trace begins, for [`reclaim`](super::reclaim) has freed all others
//! but those that are pinned: one that has none fell to 0 and was not logged. Before the dead are swept their references
//! are taken off the counts, once each. So the counts of the living are exact again, and those of the dead are 0: one
//! that is not tells of a decrement that was lost.

use super::lose;
use crate::header::GC_WORD;
use crate::heap::HeapCore;
use crate::memory::View;
use crate::space::cells::{Cells, measured_in};
use crate::space::mark::Marker;
use crate::space::trace::each_reference;
use crate::{Error, RootPhase, RootSet};

/// Frees everything that cannot be reached. The lists were retired and no object is marked, before and after; what counts
/// tell to be dead was freed just now.
///
/// # Errors
/// `Corrupt`.
pub(super) fn collect(core: &mut HeapCore, cells: &mut Cells, roots: &mut dyn RootSet) -> Result<(), Error> {
    let mut marker = Marker::default();
    follow(&mut marker, core, cells, RootPhase::State, roots)?;
    let from_state = marker.objects;
    follow(&mut marker, core, cells, RootPhase::Frames, roots)?;
    let counted = |view: &View<'_>, at| view.read_u32(at + GC_WORD) != Some(0);
    cells.unmarked(core, &mut |view, at, _| {
        if counted(view, at) {
            return Ok(());
        }
        Err(Error::corrupt("a dead object has no count: it was not logged when it lost it", at))
    })?;
    cells.unmarked(core, &mut |view, at, room| bury(core, cells, view, at, room))?;
    cells.unmarked(core, &mut |view, at, _| {
        if !counted(view, at) {
            return Ok(());
        }
        Err(Error::corrupt("a dead object is still counted: a decrement was lost", at))
    })?;
    let before = core.stats.objects_freed;
    cells.sweep_marked(core);
    cells.settle(core);
    cells.clear_marks();
    core.stats.cyclic_freed += core.stats.objects_freed - before;
    core.stats.objects_survived += marker.objects;
    core.stats.bytes_survived += marker.bytes;
    core.stats.survived_from_frames_only += marker.objects - from_state;
    Ok(())
}

/// Marks what the roots of `phase` reach. They were counted when they were pinned.
fn follow(
    marker: &mut Marker,
    core: &HeapCore,
    cells: &mut Cells,
    phase: RootPhase,
    roots: &mut dyn RootSet,
) -> Result<(), Error> {
    let mut outcome = Ok(());
    roots.visit(phase, &mut |_, slot| {
        if outcome.is_ok() {
            outcome = marker.reach(cells, *slot);
        }
    });
    outcome?;
    marker.drain(core, cells)
}

/// Takes the references of a dead object off the counts.
fn bury(core: &HeapCore, cells: &Cells, view: &View<'_>, at: u32, room: u32) -> Result<(), Error> {
    let (id, _) = measured_in(core, view, at, room)?;
    each_reference(view, &core.layouts, at, id, |_, word| {
        if word.is_object() {
            lose(core, cells, word.0)?;
        }
        Ok(())
    })
}
