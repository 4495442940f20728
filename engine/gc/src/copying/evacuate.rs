//! One evacuation: from-space to to-space, breadth first.
//!
//! Between `scan` and `free` lie the objects that were copied and whose fields still point into from-space. A copied
//! object leaves [`FORWARDED`] in its old type word and its new offset in its old collector's word. Both words of the
//! copy are as the mutator left them: flags clear, collector's word 0.
//!
//! Invariant: objects in to-space were measured and found well-formed when they were copied, and nothing writes there
//! but this loop, at offsets of traced fields; from-space is hostile.

use std::ops::Range;

use crate::header::{ARRAY_LENGTH, GC_WORD, OBJECT_ALIGN, TYPE_ID_MASK, TYPE_WORD};
use crate::heap::measure;
use crate::layout::{HOST_SIZE, Layout, Slot};
use crate::layout_table::LayoutTable;
use crate::memory::View;
use crate::types::TypeId;
use crate::{Error, GcRef, RootKind, RootPhase, RootSet};

/// Flag of the type word of an object that has moved.
const FORWARDED: u32 = 1 << 31;
const _: () = assert!(FORWARDED & TYPE_ID_MASK == 0);

pub(super) struct Evacuation<'h> {
    layouts: &'h LayoutTable,
    from: View<'h>,
    from_used: Range<u32>,
    to: View<'h>,
    to_space: Range<u32>,
    scan: u32,
    free: u32,
    objects: u64,
    root_slots: u64,
    frame_slots: u64,
}

impl<'h> Evacuation<'h> {
    /// Ready to copy from `from_used` to `to_space`, which is as long and committed.
    pub(super) fn new(
        layouts: &'h LayoutTable,
        from: View<'h>,
        from_used: Range<u32>,
        to: View<'h>,
        to_space: Range<u32>,
    ) -> Evacuation<'h> {
        let start = to_space.start;
        Evacuation {
            layouts,
            from,
            from_used,
            to,
            to_space,
            scan: start,
            free: start,
            objects: 0,
            root_slots: 0,
            frame_slots: 0,
        }
    }

    /// Objects copied so far.
    pub(super) fn objects(&self) -> u64 {
        self.objects
    }

    /// Heap offset behind the last copy.
    pub(super) fn free(&self) -> u32 {
        self.free
    }

    /// Root slots visited, and those of frames.
    pub(super) fn root_slots(&self) -> (u64, u64) {
        (self.root_slots, self.frame_slots)
    }

    /// Copies what the roots of `phase` refer to, and updates the slots.
    pub(super) fn roots(&mut self, phase: RootPhase, roots: &mut dyn RootSet) -> Result<(), Error> {
        let mut outcome = Ok(());
        roots.visit(phase, &mut |kind, slot| {
            self.root_slots += 1;
            self.frame_slots += u64::from(matches!(kind, RootKind::Frame | RootKind::SuspendedFrame));
            if outcome.is_err() || !slot.is_object() {
                return;
            }
            // A slot that was shown before has been updated.
            if self.to_space.start <= slot.0 && slot.0 < self.free {
                return;
            }
            match self.forward(*slot) {
                Ok(new) => *slot = new,
                Err(error) => outcome = Err(error),
            }
        });
        outcome
    }

    /// Scans copies until none is left unscanned.
    pub(super) fn drain(&mut self) -> Result<(), Error> {
        let layouts = self.layouts;
        while self.scan < self.free {
            let at = self.scan;
            let id = TypeId(self.word(at + TYPE_WORD)? & TYPE_ID_MASK);
            let size = match layouts.get(id) {
                Some(Layout::Struct(layout)) => {
                    for &offset in &layout.ref_offsets {
                        self.update(at + offset)?;
                    }
                    layout.size
                }
                Some(Layout::Array(layout)) => {
                    let len = self.word(at + ARRAY_LENGTH)?;
                    let Some(size) = layout.size(len) else { return Err(Error::corrupt("array length", at)) };
                    if layout.element == Slot::Ref {
                        let first = at + layout.base;
                        for slot in (first..first + len * 4).step_by(4) {
                            self.update(slot)?;
                        }
                    }
                    size
                }
                Some(Layout::Host) => HOST_SIZE,
                None => return Err(Error::corrupt("type id", at)),
            };
            self.scan += size;
        }
        Ok(())
    }

    fn word(&self, at: u32) -> Result<u32, Error> {
        self.to.read_u32(at).ok_or_else(|| Error::corrupt("object reaches out of to-space", at))
    }

    /// Forwards the reference in the to-space slot at `at`.
    #[inline]
    fn update(&mut self, at: u32) -> Result<(), Error> {
        let old = GcRef(self.word(at)?);
        if old.is_object() {
            let new = self.forward(old)?;
            self.to.write_u32(at, new.0);
        }
        Ok(())
    }

    /// The new place of a from-space object; copies it if it has none yet.
    #[inline]
    fn forward(&mut self, old: GcRef) -> Result<GcRef, Error> {
        let at = old.0;
        if !self.from_used.contains(&at) || !at.is_multiple_of(OBJECT_ALIGN) {
            return Err(Error::corrupt("reference to something that is no object", at));
        }
        let word = self.from.read_u32(at + TYPE_WORD).unwrap_or(0);
        if word & FORWARDED == 0 {
            return self.copy(at);
        }
        let new = self.from.read_u32(at + GC_WORD).unwrap_or(0);
        if new < self.to_space.start || self.free <= new || !new.is_multiple_of(OBJECT_ALIGN) {
            return Err(Error::corrupt("forged forwarding", at));
        }
        Ok(GcRef(new))
    }

    fn copy(&mut self, at: u32) -> Result<GcRef, Error> {
        let (_, size) = measure(&self.from, self.layouts, at)?;
        if size > self.from_used.end - at {
            return Err(Error::corrupt("object reaches beyond the used space", at));
        }
        let new = self.free;
        if size > self.to_space.end - new {
            return Err(Error::corrupt("objects overlap", at));
        }
        let outside = || Error::corrupt("object reaches out of its space", at);
        self.to.copy(new, &self.from, at, size as usize).ok_or_else(outside)?;
        self.from.write_u32(at + TYPE_WORD, FORWARDED).ok_or_else(outside)?;
        self.from.write_u32(at + GC_WORD, new).ok_or_else(outside)?;
        self.free += size;
        self.objects += 1;
        Ok(GcRef(new))
    }
}
