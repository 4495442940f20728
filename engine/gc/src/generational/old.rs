//! The old space: objects back to back, and the map by which a card finds them.
//!
//! The objects begin at the space's floor, but for [`Stress::move_always`](crate::Stress): then each second compaction
//! leaves a gap there, so that all objects move up by more than what was dead, and the next one moves all down again.
//!
//! Invariant: for each card whose first byte lies in the used part, the crossing map holds the start of the object that
//! covers that byte (Jones, Hosking and Moss, "The Garbage Collection Handbook", section 11.8, in its simplest form). The
//! used part starts at a card's first byte.

use std::ops::Range;

use crate::Error;
use crate::heap::{HeapCore, RegionId};
use crate::memory::ExtentId;
use crate::mutator::CARD_BYTES;

/// Unused bytes behind the end that are worth giving back.
const DISCARD: u32 = 1 << 18;

pub(super) struct Old {
    pub(super) extent: ExtentId,
    region: RegionId,
    /// The bounds of the space.
    floor: u32,
    limit: u64,
    /// The bounds of the used part.
    start: u32,
    end: u32,
    /// Bytes from here on have never been used, or were given back.
    touched: u32,
    /// Where committed memory ended when it was asked for last.
    committed: u64,
    pub(super) crossing: Crossing,
}

impl Old {
    /// Makes `[start, limit)` the old space.
    ///
    /// # Errors
    /// `Reservation`.
    pub(super) fn new(core: &mut HeapCore, start: u64, limit: u64) -> Result<Old, Error> {
        let extent = core.extent(start, limit)?;
        let region = core.add_region(extent, start as u32, true);
        let at = start as u32;
        let crossing = Crossing { start: at, starts: Vec::new() };
        Ok(Old {
            extent,
            region,
            floor: at,
            limit,
            start: at,
            end: at,
            touched: at,
            committed: start,
            crossing,
        })
    }

    /// Where its objects lie.
    pub(super) fn range(&self) -> Range<u32> {
        self.start..self.end
    }

    /// Bytes of them.
    pub(super) fn used(&self) -> u32 {
        self.end - self.start
    }

    /// Commits `bytes` behind the end.
    ///
    /// # Errors
    /// `Reservation`; nothing has changed then.
    pub(super) fn reserve(&mut self, core: &mut HeapCore, bytes: u32) -> Result<(), Error> {
        let end = u64::from(self.end) + u64::from(bytes);
        if end > self.committed {
            core.memory.commit(self.extent, end)?;
            self.committed = core.granules(end);
            core.stats.grown += 1;
        }
        Ok(())
    }

    /// Takes room for one object at the end.
    pub(super) fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        self.reserve(core, size).ok()?;
        let at = self.end;
        core.memory.view(self.extent).claimed(at..at + size);
        self.crossing.enter(at, size);
        self.set_end(core, at + size);
        Some(at)
    }

    /// Moves the end; the crossing map is the caller's business.
    pub(super) fn set_end(&mut self, core: &mut HeapCore, end: u32) {
        self.set_range(core, self.start..end);
    }

    /// Moves both bounds of the used part, likewise.
    pub(super) fn set_range(&mut self, core: &mut HeapCore, range: Range<u32>) {
        (self.start, self.end) = (range.start, range.end);
        self.touched = self.touched.max(range.end);
        core.move_region(self.region, range);
    }

    /// Where a compaction puts the first of the living, which have `bytes`: at the floor, or, if every object must move and
    /// they begin there already, so far up that none stays. For that, memory behind the end is committed; without it, and
    /// where a full heap would not fit above the gap, it is the floor all the same.
    pub(super) fn base(&mut self, core: &mut HeapCore, bytes: u32) -> u32 {
        if !core.stress().move_always || self.start > self.floor || bytes == 0 {
            return self.floor;
        }
        let dead = self.used() - bytes;
        let gap = (dead / CARD_BYTES + 1) * CARD_BYTES;
        let base = u64::from(self.floor) + u64::from(gap);
        if base + core.max_bytes() > self.limit || self.reserve(core, CARD_BYTES).is_err() {
            return self.floor;
        }
        base as u32
    }

    /// Gives the pages behind the end back if they are many; whether it did.
    pub(super) fn shrink(&mut self, core: &mut HeapCore) -> bool {
        let unused = self.touched - self.end;
        if unused < DISCARD.max(self.used()) {
            return false;
        }
        let discarded = core.memory.discard(self.extent, self.end..self.touched);
        self.touched = self.end;
        self.crossing.starts.shrink_to_fit();
        discarded
    }
}

/// By card of the old space, the object that covers its first byte.
pub(super) struct Crossing {
    start: u32,
    starts: Vec<u32>,
}

impl Crossing {
    /// Enters the object of `size` bytes at `at`, which is the last one so far.
    #[inline]
    pub(super) fn enter(&mut self, at: u32, size: u32) {
        let from_start = at - self.start;
        let first = from_start.div_ceil(CARD_BYTES) as usize;
        let behind = (from_start + size).div_ceil(CARD_BYTES) as usize;
        if first < behind {
            self.starts.truncate(first);
            self.starts.resize(behind, at);
        }
    }

    /// Forgets all objects; those that come begin at `start`.
    pub(super) fn restart(&mut self, start: u32) {
        self.start = start;
        self.starts.clear();
    }

    /// The object that covers the first byte of the card of `at`.
    pub(super) fn covering(&self, at: u32) -> Option<u32> {
        let card = at.checked_sub(self.start)? / CARD_BYTES;
        self.starts.get(card as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_finds_the_object_over_its_first_byte() {
        let mut crossing = Crossing { start: 0x1_0000, starts: Vec::new() };
        let mut at = 0x1_0000;
        let sizes = [8, 504, 16, 2048, 8, 472, 512, 8];
        let mut objects = Vec::new();
        for size in sizes {
            crossing.enter(at, size);
            objects.push(at..at + size);
            at += size;
        }
        for card in (0x1_0000..at).step_by(CARD_BYTES as usize) {
            let covering = objects.iter().find(|object| object.contains(&card)).map(|object| object.start);
            assert_eq!(crossing.covering(card), covering, "{card:#x}");
        }
        assert_eq!(crossing.covering(at.next_multiple_of(CARD_BYTES)), None);
        assert_eq!(crossing.covering(0), None);
    }
}
