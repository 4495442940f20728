//! A minor collection: Cheney's scan over two targets, the other half and the end of the old space.
//!
//! The remembered set comes first: the slots of old and of large objects in dirty cards. Roots follow. Between `scan`
//! and `free` of each target lie the copies whose fields still point into the half that is left; large objects that
//! were reached and not yet scanned wait in a list. A copied object leaves [`FORWARDED`] in its old type word and its
//! new offset in its old collector's word. A slot outside the nursery that refers to a survivor in the nursery at the
//! end of its scan has its card marked again; all other cards of the old and large objects end up clean, but for those
//! of large objects that died.
//!
//! Invariant: a copy was measured and found well-formed; copies of one collection take no more bytes than the nursery
//! had in use, which both targets can hold; nothing writes to them but this loop, at offsets of traced slots. The half
//! that is left and the objects in dirty cards are hostile.

use std::ops::Range;

use super::old::Crossing;
use super::slots::{each_reference_within, scan};
use super::{Spaces, not_started};
use crate::cards::Cards;
use crate::header::{GC_WORD, OBJECT_ALIGN, TYPE_ID_MASK, TYPE_WORD};
use crate::heap::{HeapCore, measure};
use crate::layout_table::LayoutTable;
use crate::memory::View;
use crate::mutator::{CARD_BYTES, CARD_SHIFT};
use crate::space::large::Large;
use crate::{Error, GcRef, RootKind, RootPhase, RootSet};

/// Flag of the type word of an object that has moved.
const FORWARDED: u32 = 1 << 31;
const _: () = assert!(FORWARDED & TYPE_ID_MASK == 0);

/// What a collection leaves.
pub(super) struct Survived {
    /// Heap offset behind the survivors in the nursery.
    pub(super) next: u32,
    /// Objects copied, and young large objects that were reached.
    pub(super) objects: u64,
    /// Bytes of those.
    pub(super) bytes: u64,
    /// Bytes copied.
    pub(super) copied_bytes: u64,
    /// Bytes that the nursery had in use.
    pub(super) nursery_bytes: u32,
    /// Objects found only from frames.
    pub(super) from_frames: u64,
}

/// The objects that root slots refer to after everything was promoted.
#[derive(Default)]
pub(super) struct RootWords {
    pub(super) state: Vec<u32>,
    pub(super) frames: Vec<u32>,
}

impl Spaces {
    /// Empties the active half: survivors go to the other half or into the old space; all of them into the old space
    /// if the words of root slots are asked for. Unreached young large objects are freed. The window is not opened.
    ///
    /// # Errors
    /// `Reservation`, nothing has changed then; `Corrupt`.
    pub(super) fn scavenge(
        &mut self,
        core: &mut HeapCore,
        mut words: Option<&mut RootWords>,
        roots: &mut dyn RootSet,
    ) -> Result<Survived, Error> {
        let used = core.used();
        let nursery_bytes = used.end - used.start;
        let (from, to) = (self.nursery.active(), self.nursery.idle());
        core.memory.commit(to.extent, u64::from(to.start) + u64::from(self.nursery.capacity()))?;
        self.old.reserve(core, nursery_bytes)?;
        let room = if words.is_some() { 0 } else { self.nursery.survivors() };
        let tenured = self.old.range();
        let from_view = core.memory.view(from.extent);
        let behind = tenured.end..tenured.end + nursery_bytes;
        core.memory.view(to.extent).claimed(to.start..to.start + room);
        core.memory.view(self.old.extent).claimed(behind.clone());
        let mut minor = Minor {
            layouts: &core.layouts,
            cards: core.cards().ok_or_else(not_started)?,
            from: from_view,
            from_used: used.clone(),
            aged: self.nursery.aged,
            left: nursery_bytes,
            to: Target::new(core.memory.view(to.extent), to.start, room),
            old: Target::new(core.memory.view(self.old.extent), tenured.end, nursery_bytes),
            tenured,
            crossing: &mut self.old.crossing,
            large_view: self.large.view(core),
            large: &mut self.large,
            reached: Vec::new(),
            large_bytes: 0,
            objects: 0,
            promoted: 0,
            cards_scanned: 0,
            root_slots: 0,
            frame_slots: 0,
        };
        // Before anything is reached: a young large object is scanned as a whole, or not at all.
        minor.large_cards()?;
        minor.old_cards()?;
        minor.roots(RootPhase::State, words.as_deref_mut().map(|words| &mut words.state), roots)?;
        minor.drain()?;
        let from_state = minor.objects;
        minor.roots(RootPhase::Frames, words.map(|words| &mut words.frames), roots)?;
        minor.drain()?;

        let (next, old_end) = (minor.to.free, minor.old.free);
        let copied = nursery_bytes - minor.left;
        let (objects, from_frames) = (minor.objects, minor.objects - from_state);
        let (large_bytes, promoted, cards_scanned) = (minor.large_bytes, minor.promoted, minor.cards_scanned);
        let (root_slots, frame_slots) = (minor.root_slots, minor.frame_slots);
        from_view.freed(used.clone(), core.stress().poison);
        core.memory.view(self.old.extent).withdrawn(old_end..behind.end);
        core.stats.roots += root_slots;
        core.stats.frame_roots += frame_slots;
        core.stats.barrier_work += cards_scanned;
        core.stats.objects_promoted += promoted;
        core.stats.bytes_copied += u64::from(copied);
        core.stats.bytes_freed += u64::from(nursery_bytes - copied);
        self.old.set_end(core, old_end);
        if self.young_large > 0 {
            self.large.sweep(core, |_, object| !object.young);
        }
        self.young_large = 0;
        self.nursery.swap(next);
        Ok(Survived {
            next,
            objects,
            bytes: u64::from(copied) + large_bytes,
            copied_bytes: copied.into(),
            nursery_bytes,
            from_frames,
        })
    }
}

/// Where copies go.
struct Target<'h> {
    view: View<'h>,
    start: u32,
    scan: u32,
    free: u32,
    end: u32,
}

impl<'h> Target<'h> {
    fn new(view: View<'h>, start: u32, room: u32) -> Target<'h> {
        Target { view, start, scan: start, free: start, end: start + room }
    }

    /// Whether `at` lies in a copy.
    #[inline]
    fn holds(&self, at: u32) -> bool {
        self.start <= at && at < self.free
    }
}

struct Minor<'h> {
    layouts: &'h LayoutTable,
    cards: &'h Cards,
    from: View<'h>,
    from_used: Range<u32>,
    /// Objects below have survived a collection before.
    aged: u32,
    /// Bytes in use that no copy has accounted for.
    left: u32,
    to: Target<'h>,
    old: Target<'h>,
    /// The old objects of before.
    tenured: Range<u32>,
    crossing: &'h mut Crossing,
    large: &'h mut Large,
    large_view: View<'h>,
    /// Young large objects that were reached and not yet scanned; they are young no more.
    reached: Vec<u32>,
    large_bytes: u64,
    /// Objects copied or reached so far.
    objects: u64,
    promoted: u64,
    cards_scanned: u64,
    root_slots: u64,
    frame_slots: u64,
}

impl Minor<'_> {
    /// Forwards what the slots of old objects in dirty cards refer to.
    fn old_cards(&mut self) -> Result<(), Error> {
        let dirty = self.cards.dirty(self.tenured.clone());
        self.cards_scanned += dirty.len() as u64;
        let (view, layouts) = (self.old.view, self.layouts);
        for part in runs(&dirty, self.tenured.end) {
            self.cards.clean(part.clone());
            let mut at = match self.crossing.covering(part.start) {
                Some(at) => at,
                None => return Err(Error::corrupt("no object over a card", part.start)),
            };
            while at < part.end {
                let (id, size) = measure(&view, layouts, at)?;
                if size > self.tenured.end - at {
                    return Err(Error::corrupt("object reaches beyond the old space", at));
                }
                each_reference_within(&view, layouts, at, id, &part, |slot, word| {
                    self.outside(&view, slot, word)
                })?;
                at += size;
            }
        }
        Ok(())
    }

    /// The same for large objects. Those that are young are scanned as a whole, if they are reached.
    fn large_cards(&mut self) -> Result<(), Error> {
        let mut parts = Vec::new();
        for (at, object) in self.large.iter().filter(|(_, object)| !object.young) {
            let end = at + object.size;
            let dirty = self.cards.dirty(at..end);
            self.cards_scanned += dirty.len() as u64;
            parts.extend(runs(&dirty, end).map(|part| (at, object.size, part)));
        }
        let (view, layouts) = (self.large_view, self.layouts);
        for (at, room, part) in parts {
            self.cards.clean(part.clone());
            let (id, size) = measure(&view, layouts, at)?;
            if size > room {
                return Err(Error::corrupt("object reaches beyond its room", at));
            }
            each_reference_within(&view, layouts, at, id, &part, |slot, word| {
                self.outside(&view, slot, word)
            })?;
        }
        Ok(())
    }

    /// Forwards what the roots of `phase` refer to, and updates the slots; notes what they refer to then.
    fn roots(
        &mut self,
        phase: RootPhase,
        mut words: Option<&mut Vec<u32>>,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        roots.visit(phase, &mut |kind, slot| {
            self.root_slots += 1;
            self.frame_slots += u64::from(matches!(kind, RootKind::Frame | RootKind::SuspendedFrame));
            if outcome.is_err() || !slot.is_object() {
                return;
            }
            // A slot that was shown before has been updated.
            if !self.to.holds(slot.0) && !self.old.holds(slot.0) {
                match self.forward(*slot) {
                    Ok(new) => *slot = new,
                    Err(error) => outcome = Err(error),
                }
            }
            if let Some(words) = &mut words {
                words.push(slot.0);
            }
        });
        outcome
    }

    /// Scans copies and reached large objects until none is left unscanned.
    fn drain(&mut self) -> Result<(), Error> {
        let layouts = self.layouts;
        loop {
            while self.to.scan < self.to.free {
                let (view, at, room) = (self.to.view, self.to.scan, self.to.free - self.to.scan);
                self.to.scan += scan(&view, layouts, at, room, |slot, word| {
                    if word.is_object() {
                        let new = self.forward(word)?;
                        view.write_u32(slot, new.0);
                    }
                    Ok(())
                })?;
            }
            while self.old.scan < self.old.free {
                let (view, at, room) = (self.old.view, self.old.scan, self.old.free - self.old.scan);
                self.old.scan +=
                    scan(&view, layouts, at, room, |slot, word| self.outside(&view, slot, word))?;
            }
            match self.reached.pop() {
                Some(at) => self.scan_large(at)?,
                None if self.to.scan == self.to.free && self.old.scan == self.old.free => return Ok(()),
                None => {}
            }
        }
    }

    fn scan_large(&mut self, at: u32) -> Result<(), Error> {
        let (view, room) = (self.large_view, self.large.get(at).map_or(0, |object| object.size));
        self.cards.clean(at..at + room);
        scan(&view, self.layouts, at, room, |slot, word| self.outside(&view, slot, word))?;
        Ok(())
    }

    /// Forwards the reference in a slot outside the nursery, and marks its card if it refers into the nursery still.
    #[inline]
    fn outside(&mut self, view: &View<'_>, slot: u32, word: GcRef) -> Result<(), Error> {
        if !word.is_object() {
            return Ok(());
        }
        let new = self.forward(word)?;
        if new != word {
            view.write_u32(slot, new.0);
            if self.to.holds(new.0) {
                self.cards.set(slot >> CARD_SHIFT, true);
            }
        }
        Ok(())
    }

    /// The new place of the object that a slot refers to; copies it if it has none yet.
    #[inline]
    fn forward(&mut self, word: GcRef) -> Result<GcRef, Error> {
        let at = word.0;
        if self.from_used.contains(&at) && at.is_multiple_of(OBJECT_ALIGN) {
            let type_word = self.from.read_u32(at + TYPE_WORD).unwrap_or(0);
            if type_word & FORWARDED == 0 {
                return self.copy(at);
            }
            let new = self.from.read_u32(at + GC_WORD).unwrap_or(0);
            if !(self.to.holds(new) || self.old.holds(new)) || !new.is_multiple_of(OBJECT_ALIGN) {
                return Err(Error::corrupt("forged forwarding", at));
            }
            return Ok(GcRef(new));
        }
        if self.tenured.contains(&at) && at.is_multiple_of(OBJECT_ALIGN) {
            return Ok(word);
        }
        match self.large.get_mut(at) {
            Some(object) if object.young => {
                object.young = false;
                self.objects += 1;
                self.large_bytes += u64::from(object.size);
                self.reached.push(at);
                Ok(word)
            }
            Some(_) => Ok(word),
            None => Err(Error::corrupt("reference to something that is no object", at)),
        }
    }

    fn copy(&mut self, at: u32) -> Result<GcRef, Error> {
        let (_, size) = measure(&self.from, self.layouts, at)?;
        if size > self.from_used.end - at {
            return Err(Error::corrupt("object reaches beyond the used space", at));
        }
        self.left = self.left.checked_sub(size).ok_or_else(|| Error::corrupt("objects overlap", at))?;
        let target = if at < self.aged || size > self.to.end - self.to.free {
            self.crossing.enter(self.old.free, size);
            self.promoted += 1;
            &mut self.old
        } else {
            &mut self.to
        };
        let new = target.free;
        let outside = || Error::corrupt("object reaches out of its space", at);
        target.view.copy(new, &self.from, at, size as usize).ok_or_else(outside)?;
        target.free += size;
        self.from.write_u32(at + TYPE_WORD, FORWARDED).ok_or_else(outside)?;
        self.from.write_u32(at + GC_WORD, new).ok_or_else(outside)?;
        self.objects += 1;
        Ok(GcRef(new))
    }
}

/// The heap ranges of ascending `cards` up to `behind`, neighbours joined.
fn runs(cards: &[u32], behind: u32) -> impl Iterator<Item = Range<u32>> {
    cards.chunk_by(|one, next| one + 1 == *next).filter_map(move |run| {
        let (&first, &last) = (run.first()?, run.last()?);
        let end = u64::from(last << CARD_SHIFT) + u64::from(CARD_BYTES);
        Some(first << CARD_SHIFT..end.min(u64::from(behind)) as u32)
    })
}
