//! Sliding compaction of the old space: objects keep their order.
//!
//! After Kermany and Petrank ("The Compressor", 2006): where an object goes follows from the mark bits alone, so that
//! one pass over the living updates each object's slots and moves it. A root slot may be shown twice, and a new offset
//! may be another object's old one; so updated slots carry [`MOVED`] until all roots were shown.
//!
//! Invariant: living objects do not overlap and go no further up, so nothing is overwritten before it has moved. The
//! words behind references were found good by the marking.

use super::mark::{Marker, Marks};
use super::minor::RootWords;
use super::old::Crossing;
use super::slots::scan;
use super::{Spaces, not_started};
use crate::header::OBJECT_ALIGN;
use crate::heap::HeapCore;
use crate::layout_table::LayoutTable;
use crate::memory::View;
use crate::{Error, GcRef, RootPhase, RootSet};

/// Tells an updated root slot: a bit that no reference to an object has, and that makes no i31.
const MOVED: u32 = 2;
const _: () = assert!(MOVED < OBJECT_ALIGN);

impl Spaces {
    /// Marks from `words`, frees the large dead, slides the old space together, and updates the roots. The nursery is
    /// empty.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn mark_compact(
        &mut self,
        core: &mut HeapCore,
        words: &RootWords,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let mut marker = Marker::new(core, &self.old, &mut self.large);
        words.state.iter().try_for_each(|&word| marker.reach(GcRef(word)))?;
        marker.drain()?;
        let from_state = marker.objects;
        words.frames.iter().try_for_each(|&word| marker.reach(GcRef(word)))?;
        marker.drain()?;
        let (objects, bytes) = (marker.objects, marker.bytes);
        let marks = marker.finish();
        core.stats.objects_survived += objects;
        core.stats.bytes_survived += bytes;
        core.stats.survived_from_frames_only += objects - from_state;

        self.large.sweep(core, |_, object| object.marked);
        self.large.iter_mut().for_each(|(_, object)| object.marked = false);
        let layouts = &core.layouts;
        let large = self.large.view(core);
        for (at, object) in self.large.iter() {
            update(&large, layouts, &marks, at, object.size)?;
        }
        let old = core.memory.view(self.old.extent);
        let before = self.old.range();
        let (end, moved) = slide(&old, layouts, &marks, &mut self.old.crossing, before.start)?;
        update_roots(&marks, roots)?;
        old.freed(end..before.end, core.stress().poison);
        // No card is left that has to be dirty; those of the dead would only be scanned in vain.
        core.cards().ok_or_else(not_started)?.clean(before.clone());
        self.old.set_end(core, end);
        core.stats.bytes_copied += moved;
        core.stats.bytes_freed += u64::from(before.end - end);
        Ok(())
    }
}

/// Moves the living to the start of the space; where they end, and the bytes that moved.
fn slide(
    old: &View<'_>,
    layouts: &LayoutTable,
    marks: &Marks,
    crossing: &mut Crossing,
    start: u32,
) -> Result<(u32, u64), Error> {
    let (mut end, mut moved) = (start, 0);
    crossing.clear();
    for at in marks.iter() {
        let size = update(old, layouts, marks, at, u32::MAX)?;
        if end != at {
            let copied = old.copy(end, old, at, size as usize);
            copied.ok_or_else(|| Error::corrupt("object outside the old space", at))?;
            moved += u64::from(size);
        }
        crossing.enter(end, size);
        end += size;
    }
    if end != marks.new_end() {
        return Err(Error::corrupt("objects changed their sizes", end));
    }
    Ok((end, moved))
}

/// Updates the slots of the object at `at`, which was found good by the marking; its bytes.
#[inline(always)]
fn update(view: &View<'_>, layouts: &LayoutTable, marks: &Marks, at: u32, room: u32) -> Result<u32, Error> {
    scan(view, layouts, at, room, |slot, word| {
        if word.is_object() && marks.holds(word.0) {
            let new =
                marks.target(word.0).ok_or_else(|| Error::corrupt("reference to a dead object", slot))?;
            if new != word.0 {
                view.write_u32(slot, new);
            }
        }
        Ok(())
    })
}

/// Updates the root slots, each once.
fn update_roots(marks: &Marks, roots: &mut dyn RootSet) -> Result<(), Error> {
    let mut outcome = Ok(());
    for phase in [RootPhase::State, RootPhase::Frames] {
        roots.visit(phase, &mut |_, slot| {
            if slot.is_object() && marks.holds(slot.0) && slot.0.is_multiple_of(OBJECT_ALIGN) {
                match marks.target(slot.0) {
                    Some(new) => slot.0 = new | MOVED,
                    None => outcome = Err(Error::corrupt("root of a dead object", slot.0)),
                }
            }
        });
    }
    for phase in [RootPhase::State, RootPhase::Frames] {
        roots.visit(phase, &mut |_, slot| {
            if slot.is_object() && slot.0 % OBJECT_ALIGN == MOVED {
                slot.0 -= MOVED;
            }
        });
    }
    outcome
}
