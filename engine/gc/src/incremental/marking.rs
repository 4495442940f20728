//! The grey objects of a cycle, and the scanning of them in units of bounded work.
//!
//! Grey are the objects on the stack, the arrays that are scanned in part, what the barrier has logged, and what the
//! frames referred to at the snapshot; the last are only written down at first and followed when all else is black, so
//! that what frames alone keep can be told. A unit is an object, or [`PIECE`] elements of a long array, or a batch of the
//! frames' words.
//!
//! Invariant: an object on the stack or among the pieces has the marked colour, and it was pushed, or logged, when it got
//! it. Every word is checked before it is followed, and a unit always takes something away, so marking ends on any heap.

use crate::header::{ARRAY_LENGTH, GC_WORD, TYPE_WORD};
use crate::heap::{HeapCore, measure};
use crate::layout::{ArrayLayout, Layout, Slot};
use crate::layout_table::LayoutTable;
use crate::memory::View;
use crate::space::cells::Cells;
use crate::space::trace::each_reference;
use crate::types::TypeId;
use crate::{Error, GcRef, RootKind, RootPhase, RootSet};

/// Elements of an array of references that count as one object.
pub(super) const PIECE: u32 = 512;
/// Words of frames that count as one object.
const BATCH: usize = 64;

/// The heap as marking sees it.
pub(super) struct Space<'h> {
    layouts: &'h LayoutTable,
    cells: &'h Cells,
    small: View<'h>,
    large: View<'h>,
    /// The collector's word of what is marked.
    colour: u32,
}

impl<'h> Space<'h> {
    pub(super) fn new(core: &'h HeapCore, cells: &'h Cells, colour: u32) -> Space<'h> {
        let small = cells.blocks.view(core);
        let large = cells.large.view(core);
        Space { layouts: &core.layouts, cells, small, large, colour }
    }

    /// The view that the object at `at` lies in, and the bytes that it may take; `None` if there is none.
    #[inline]
    fn object(&self, at: u32) -> Option<(View<'h>, u32)> {
        match self.cells.blocks.cell_size(at) {
            Some(size) => (self.small.read_u32(at + TYPE_WORD)? != 0).then_some((self.small, size)),
            None => self.cells.large.get(at).map(|object| (self.large, object.size)),
        }
    }

    /// Gives the object at `at` the marked colour: whether it had another. `None` if there is none.
    #[inline]
    fn shade(&self, at: u32) -> Option<bool> {
        let (view, _) = self.object(at)?;
        let white = view.read_u32(at + GC_WORD)? != self.colour;
        if white {
            view.write_u32(at + GC_WORD, self.colour)?;
        }
        Some(white)
    }

    /// View, room, type and bytes of the object at `at`.
    fn measured(&self, at: u32) -> Result<(View<'h>, u32, TypeId, u32), Error> {
        let (view, room) = self.object(at).ok_or_else(|| Error::corrupt("no object", at))?;
        let (id, size) = measure(&view, self.layouts, at)?;
        if size > room {
            return Err(Error::corrupt("object reaches beyond its cell", at));
        }
        Ok((view, room, id, size))
    }

    /// The layout of an array of references.
    fn references(&self, id: TypeId) -> Option<&'h ArrayLayout> {
        match self.layouts.get(id) {
            Some(Layout::Array(layout)) if layout.element == Slot::Ref => Some(layout),
            _ => None,
        }
    }
}

/// Marking under way.
#[derive(Default)]
pub(super) struct Marking {
    stack: Vec<u32>,
    /// Arrays whose elements from the given heap offset on are not scanned yet.
    pieces: Vec<(u32, u32)>,
    /// What frames referred to at the snapshot.
    frames: Vec<u32>,
    /// Objects scanned so far; an array counts when it is begun.
    pub(super) objects: u64,
    /// Bytes of them.
    pub(super) bytes: u64,
    /// Bytes of their cells.
    pub(super) room: u64,
    /// Objects scanned when all but the frames' words was followed for the first time.
    before_frames: Option<u64>,
}

impl Marking {
    /// Takes the roots of `phase` into the snapshot; returns (root slots, those of frames).
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn roots(
        &mut self,
        space: &Space<'_>,
        phase: RootPhase,
        roots: &mut dyn RootSet,
    ) -> Result<(u64, u64), Error> {
        let mut outcome = Ok(());
        let (mut all, mut of_frames) = (0, 0);
        roots.visit(phase, &mut |kind, slot| {
            all += 1;
            of_frames += u64::from(matches!(kind, RootKind::Frame | RootKind::SuspendedFrame));
            if outcome.is_err() || !slot.is_object() {
                return;
            }
            match phase {
                RootPhase::State => outcome = self.reach(space, *slot),
                RootPhase::Frames if space.object(slot.0).is_some() => self.frames.push(slot.0),
                RootPhase::Frames => outcome = Err(Error::corrupt("root of a frame", slot.0)),
            }
        });
        outcome.map(|()| (all, of_frames))
    }

    /// Takes over what the barrier has logged: objects that it has shaded, and nobody has scanned. Words that name no
    /// object are passed over.
    pub(super) fn logged(&mut self, space: &Space<'_>, words: &[u32]) {
        // The colour is not believed to be there yet.
        self.stack.extend(words.iter().filter(|&&word| space.shade(word).is_some()));
    }

    /// Does up to `budget` units of work; whether none is left.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn drain(&mut self, space: &Space<'_>, budget: u64) -> Result<bool, Error> {
        for _ in 0..budget {
            if let Some(at) = self.stack.pop() {
                self.scan(space, at)?;
            } else if let Some((at, from)) = self.pieces.pop() {
                self.scan_piece(space, at, from)?;
            } else if !self.shade_frames(space)? {
                return Ok(true);
            }
        }
        Ok(self.is_done())
    }

    /// Whether nothing is grey.
    pub(super) fn is_done(&self) -> bool {
        self.stack.is_empty() && self.pieces.is_empty() && self.frames.is_empty()
    }

    /// Objects that were reached from nothing but frames.
    pub(super) fn frames_only(&self) -> u64 {
        self.before_frames.map_or(0, |before| self.objects - before)
    }

    /// Objects of the marked colour that are not scanned, or only in front of the given slot.
    pub(super) fn grey(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.stack.iter().map(|&at| (at, 0)).chain(self.pieces.iter().copied())
    }

    /// Words of frames that are to be followed yet.
    pub(super) fn frame_words(&self) -> &[u32] {
        &self.frames
    }

    /// Shades what `word` refers to.
    #[inline]
    fn reach(&mut self, space: &Space<'_>, word: GcRef) -> Result<(), Error> {
        if !word.is_object() {
            return Ok(());
        }
        match space.shade(word.0) {
            Some(true) => {
                self.stack.push(word.0);
                Ok(())
            }
            Some(false) => Ok(()),
            None => Err(Error::corrupt("reference to something that is no object", word.0)),
        }
    }

    fn scan(&mut self, space: &Space<'_>, at: u32) -> Result<(), Error> {
        let (view, room, id, size) = space.measured(at)?;
        self.objects += 1;
        self.bytes += u64::from(size);
        self.room += u64::from(room);
        match space.references(id) {
            Some(layout) if size > PIECE * 4 => self.scan_piece(space, at, at + layout.base),
            _ => each_reference(&view, space.layouts, at, id, |_, word| self.reach(space, word)),
        }
    }

    /// Scans a long array from the slot at `from` on, as far as a unit goes. Its header is not believed to have stayed
    /// what it was.
    fn scan_piece(&mut self, space: &Space<'_>, at: u32, from: u32) -> Result<(), Error> {
        let (view, _, id, _) = space.measured(at)?;
        let layout = space.references(id).ok_or_else(|| Error::corrupt("no array of references", at))?;
        let outside = || Error::corrupt("element outside the heap", at);
        let len = view.read_u32(at + ARRAY_LENGTH).ok_or_else(outside)?;
        // Within the array's bytes, and those within its room.
        let end = at + layout.base + len * 4;
        let stop = end.min(from.saturating_add(PIECE * 4));
        let mut slot = from;
        while slot < stop {
            self.reach(space, GcRef(view.read_u32(slot).ok_or_else(outside)?))?;
            slot += 4;
        }
        if stop < end {
            self.pieces.push((at, stop));
        }
        Ok(())
    }

    /// Follows a batch of the frames' words; whether there was one.
    fn shade_frames(&mut self, space: &Space<'_>) -> Result<bool, Error> {
        self.before_frames.get_or_insert(self.objects);
        for taken in 0..BATCH {
            let Some(word) = self.frames.pop() else { return Ok(taken > 0) };
            self.reach(space, GcRef(word))?;
        }
        Ok(true)
    }
}
