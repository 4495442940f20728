//! Sliding compaction of the old space: objects keep their order.
//!
//! After Kermany and Petrank ("The Compressor", 2006): where an object goes follows from the mark bits alone, so that
//! one pass over the living updates each object's slots and moves it. A root slot may be shown twice, and a new offset
//! may be another object's old one; so updated slots carry [`MOVED`] until all roots were shown.
//!
//! Invariant: living objects do not overlap, and either none goes up or all do ([`Old::base`](super::old::Old::base)). So
//! nothing is overwritten before it has moved, in address order or against it. The words behind references were found good
//! by the marking.

use std::ops::Range;

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
        let mut marks = marker.finish();
        core.stats.objects_survived += objects;
        core.stats.bytes_survived += bytes;
        core.stats.survived_from_frames_only += objects - from_state;

        self.large.sweep(core, |_, object| object.marked);
        self.large.iter_mut().for_each(|(_, object)| object.marked = false);
        marks.send_to(self.old.base(core, marks.bytes()));
        let layouts = &core.layouts;
        let large = self.large.view(core);
        for (at, object) in self.large.iter() {
            update(&large, layouts, &marks, at, object.size)?;
        }
        let old = core.memory.view(self.old.extent);
        let (before, after) = (self.old.range(), marks.new_range());
        let each = |parts: [Range<u32>; 2], f: &dyn Fn(Range<u32>)| {
            parts.into_iter().filter(|part| !part.is_empty()).for_each(f);
        };
        each([after.start..before.start, before.end..after.end], &|part| old.claimed(part));
        let moved = slide(&old, layouts, &marks, &mut self.old.crossing, before.start)?;
        update_roots(&marks, roots)?;
        let poison = core.stress().poison;
        each([before.start..after.start, after.end..before.end], &|part| old.freed(part, poison));
        // No card is left that has to be dirty; those of the dead would only be scanned in vain.
        core.cards().ok_or_else(not_started)?.clean(before.clone());
        core.stats.bytes_copied += moved;
        core.stats.bytes_freed += u64::from(self.old.used() - marks.bytes());
        self.old.set_range(core, after);
        Ok(())
    }
}

/// Moves the living, which lie from `start` on, to their places; the bytes that moved.
fn slide(
    old: &View<'_>,
    layouts: &LayoutTable,
    marks: &Marks,
    crossing: &mut Crossing,
    start: u32,
) -> Result<u64, Error> {
    let range = marks.new_range();
    let up = range.start > start;
    let (mut end, mut moved) = (range.start, 0);
    let mut rising = Vec::new();
    let go = |at: u32, to: u32, size: u32| {
        let copied = old.copy(to, old, at, size as usize);
        copied.ok_or_else(|| Error::corrupt("object outside the old space", at))
    };
    crossing.restart(range.start);
    for at in marks.iter() {
        let size = update(old, layouts, marks, at, u32::MAX)?;
        if up {
            rising.push((at, end, size));
        } else if end != at {
            go(at, end, size)?;
        }
        moved += if end == at { 0 } else { u64::from(size) };
        crossing.enter(end, size);
        end += size;
    }
    if end != range.end {
        return Err(Error::corrupt("objects changed their sizes", end));
    }
    rising.into_iter().rev().try_for_each(|(at, to, size)| go(at, to, size))?;
    Ok(moved)
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
