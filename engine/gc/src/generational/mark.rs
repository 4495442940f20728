//! Marking of old and large objects, when the nursery is empty.
//!
//! Old objects are marked outside the heap, in two bits for each 8 bytes: one where an object starts, one for each
//! part that a living object takes. The second kind tells where objects go (see [`compact`](super::compact)), and that
//! no two objects overlap.
//!
//! Invariant: an object is pushed when its start is marked, so it is scanned once; only words that name a large object
//! or lie in the old space are followed, so marking ends on any heap.

use std::ops::Range;

use super::old::Old;
use super::slots::scan;
use crate::header::OBJECT_ALIGN;
use crate::heap::HeapCore;
use crate::layout_table::LayoutTable;
use crate::memory::View;
use crate::space::large::Large;
use crate::{Error, GcRef};

/// The marks of the old space. A word is for [`WORD_BYTES`] bytes of heap.
pub(super) struct Marks {
    start: u32,
    end: u32,
    /// Where the first object goes.
    base: u32,
    starts: Vec<u64>,
    live: Vec<u64>,
    /// Living bytes in front of each word's, divided by 8; empty until [`Marks::plan`].
    before: Vec<u32>,
    /// All of them, likewise.
    total: u32,
}

/// Bytes of heap that a word of marks is for.
const WORD_BYTES: u32 = 64 * OBJECT_ALIGN;

impl Marks {
    fn new(old: Range<u32>) -> Marks {
        let words = (old.end - old.start).div_ceil(WORD_BYTES) as usize;
        Marks {
            start: old.start,
            end: old.end,
            base: old.start,
            starts: vec![0; words],
            live: vec![0; words],
            before: Vec::new(),
            total: 0,
        }
    }

    /// Word and bit of a place in the old space.
    #[inline]
    fn place(&self, at: u32) -> Option<(usize, u64)> {
        let slot = at.checked_sub(self.start)? / OBJECT_ALIGN;
        (at < self.end && at.is_multiple_of(OBJECT_ALIGN)).then_some(((slot / 64) as usize, 1 << (slot % 64)))
    }

    /// Whether `at` lies in the old space.
    #[inline]
    pub(super) fn holds(&self, at: u32) -> bool {
        self.start <= at && at < self.end
    }

    /// Marks a start: whether it was not marked yet. `None` where no object can start.
    #[inline]
    fn mark(&mut self, at: u32) -> Option<bool> {
        let (word, bit) = self.place(at)?;
        let word = self.starts.get_mut(word)?;
        let clear = *word & bit == 0;
        *word |= bit;
        Some(clear)
    }

    /// Marks the `size` bytes from `at` on as living; `None` if some of them were.
    #[inline]
    fn cover(&mut self, at: u32, size: u32) -> Option<()> {
        let mut slot = (at.checked_sub(self.start)? / OBJECT_ALIGN) as usize;
        let end = slot + (size / OBJECT_ALIGN) as usize;
        while slot < end {
            let upto = (slot / 64 + 1) * 64;
            let bits = (!0 << (slot % 64)) & if end < upto { !(!0 << (end % 64)) } else { !0 };
            let word = self.live.get_mut(slot / 64)?;
            if *word & bits != 0 {
                return None;
            }
            *word |= bits;
            slot = upto;
        }
        Some(())
    }

    /// Computes where objects go, if the first one goes to the start.
    fn plan(&mut self) {
        let mut sum = 0;
        self.before = Vec::with_capacity(self.live.len());
        for word in &self.live {
            self.before.push(sum);
            sum += word.count_ones();
        }
        self.total = sum;
    }

    /// Sends all objects so far down or up that the first one goes to `base`.
    pub(super) fn send_to(&mut self, base: u32) {
        self.base = base;
    }

    /// Bytes of the living.
    pub(super) fn bytes(&self) -> u32 {
        self.total * OBJECT_ALIGN
    }

    /// Where the old space lies when everything has gone to its place.
    pub(super) fn new_range(&self) -> Range<u32> {
        self.base..self.base + self.bytes()
    }

    /// Where the object at `at` goes; `None` if there is no living one.
    #[inline]
    pub(super) fn target(&self, at: u32) -> Option<u32> {
        let (word, bit) = self.place(at)?;
        if self.starts.get(word)? & bit == 0 {
            return None;
        }
        let within = (self.live.get(word)? & (bit - 1)).count_ones();
        Some(self.base + (self.before.get(word)? + within) * OBJECT_ALIGN)
    }

    /// The living objects in address order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.starts).flat_map(|(number, &word)| {
            let first = self.start + number * WORD_BYTES;
            let mut word = word;
            std::iter::from_fn(move || {
                if word == 0 {
                    return None;
                }
                let at = first + word.trailing_zeros() * OBJECT_ALIGN;
                word &= word - 1;
                Some(at)
            })
        })
    }
}

/// Marking under way.
pub(super) struct Marker<'h> {
    layouts: &'h LayoutTable,
    old: View<'h>,
    large_view: View<'h>,
    large: &'h mut Large,
    marks: Marks,
    /// Grey objects.
    stack: Vec<u32>,
    /// Objects scanned so far.
    pub(super) objects: u64,
    /// Bytes of them.
    pub(super) bytes: u64,
}

impl<'h> Marker<'h> {
    /// Nothing is marked.
    pub(super) fn new(core: &'h HeapCore, old: &Old, large: &'h mut Large) -> Marker<'h> {
        Marker {
            layouts: &core.layouts,
            old: core.memory.view(old.extent),
            large_view: large.view(core),
            large,
            marks: Marks::new(old.range()),
            stack: Vec::new(),
            objects: 0,
            bytes: 0,
        }
    }

    /// Marks what `word` refers to.
    ///
    /// # Errors
    /// `Corrupt` when it is neither null, nor an i31, nor an object.
    #[inline]
    pub(super) fn reach(&mut self, word: GcRef) -> Result<(), Error> {
        if !word.is_object() {
            return Ok(());
        }
        let newly = if self.marks.holds(word.0) {
            self.marks.mark(word.0)
        } else {
            self.large.get_mut(word.0).map(|object| !std::mem::replace(&mut object.marked, true))
        };
        match newly {
            Some(true) => self.stack.push(word.0),
            Some(false) => {}
            None => return Err(Error::corrupt("reference to something that is no object", word.0)),
        }
        Ok(())
    }

    /// Scans grey objects until none is left.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn drain(&mut self) -> Result<(), Error> {
        let layouts = self.layouts;
        while let Some(at) = self.stack.pop() {
            let is_old = self.marks.holds(at);
            let view = if is_old { self.old } else { self.large_view };
            let room =
                if is_old { self.marks.end - at } else { self.large.get(at).map_or(0, |object| object.size) };
            let size = scan(&view, layouts, at, room, |_, word| self.reach(word))?;
            if is_old {
                self.marks.cover(at, size).ok_or_else(|| Error::corrupt("objects overlap", at))?;
            }
            self.objects += 1;
            self.bytes += u64::from(size);
        }
        Ok(())
    }

    /// The marks, with everybody's place in them.
    pub(super) fn finish(mut self) -> Marks {
        self.marks.plan();
        self.marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_go_behind_what_lives_in_front_of_them() {
        let start = 0x10_0000;
        let mut marks = Marks::new(start..start + 4096);
        let objects = [(8, 16), (24, 480), (1000, 24), (1024, 2000), (4088, 8)];
        for (at, size) in objects {
            assert_eq!(marks.mark(start + at), Some(true));
            assert_eq!(marks.cover(start + at, size), Some(()));
        }
        assert_eq!(marks.mark(start + 8), Some(false));
        assert_eq!(marks.cover(start + 496, 16), None);
        assert_eq!(marks.cover(start + 4088, 16), None);
        assert_eq!(
            (marks.mark(start + 4096), marks.mark(start - 8), marks.mark(start + 4)),
            (None, None, None)
        );
        marks.plan();
        let mut to = start;
        for (at, size) in objects {
            assert_eq!(marks.target(start + at), Some(to));
            to += size;
        }
        assert_eq!(marks.new_range(), start..to);
        marks.send_to(start + 1536);
        assert_eq!(marks.target(start + 8), Some(start + 1536));
        assert_eq!(marks.new_range(), start + 1536..to + 1536);
        assert_eq!(marks.target(start + 16), None);
        assert_eq!(marks.iter().collect::<Vec<_>>(), objects.map(|(at, _)| start + at));
    }
}
