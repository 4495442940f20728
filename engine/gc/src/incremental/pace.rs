//! When a cycle starts, and how much a slice marks.
//!
//! The clock is the count of bytes handed out. A cycle starts when half the way from what survived the last one to the
//! *goal* is used up, and is paced to end on half of what is left then: each slice marks as large a share of what may be
//! left to mark as the allocation since the slice before takes of the room to the goal, twice over. The goal is twice
//! what survived, at least the initial size and at most the limit. Estimates are corrected slice by slice, since a
//! smaller room makes larger slices; a slice is bounded all the same, in proportion to what was allocated for it.

use crate::heap::HeapCore;

/// Bytes that are allocated from one slice to the next, at least.
const STEP: u64 = 4 << 10;
/// Units of the smallest slice.
pub(super) const LEAST: u32 = 64;
/// Units of the largest slice, for each [`BULK`] bytes that were allocated for it.
const MOST: u64 = 4096;
const BULK: u64 = 64 << 10;

/// The pace of one heap's cycles.
#[derive(Default)]
pub(super) struct Pace {
    /// Bytes in use when the last cycle ended, what it found dead not counted.
    survivors: u64,
    /// The clock then.
    ended: u64,
    /// Bytes in use that start a cycle.
    trigger: u64,
    /// Bytes in use that the cycle is to end before.
    goal: u64,
    /// Bytes in use when the cycle under way began.
    at_begin: u64,
    /// The clock then.
    began: u64,
    /// The clock at the last slice.
    sliced: u64,
    /// Bytes of an object.
    average: u64,
}

fn clock(core: &HeapCore) -> u64 {
    core.stats.bytes_allocated
}

impl Pace {
    pub(super) fn new(core: &HeapCore) -> Pace {
        let mut pace = Pace { average: 32, ..Pace::default() };
        pace.aim(core, 0);
        pace
    }

    /// Whether an allocation of `size` bytes starts a cycle.
    pub(super) fn starts(&self, core: &HeapCore, size: u32) -> bool {
        self.used(core) + u64::from(size) > self.trigger
    }

    /// The units of a slice before an allocation of `size` bytes, if it is time for one; `marked` bytes are done.
    pub(super) fn slice(&self, core: &HeapCore, size: u32, marked: u64) -> Option<u32> {
        let since = clock(core).saturating_sub(self.sliced) + u64::from(size);
        (since >= STEP).then(|| {
            let left = self.at_begin.saturating_sub(marked) / self.average + 1;
            let room = self.goal.saturating_sub(self.used(core)).max(STEP);
            let share = since.saturating_mul(left).saturating_mul(2) / room;
            let most = MOST * (1 + since / BULK);
            share.clamp(u64::from(LEAST), most) as u32
        })
    }

    /// A cycle begins. The lists were retired.
    pub(super) fn begin(&mut self, core: &HeapCore) {
        self.at_begin = self.used(core);
        self.began = clock(core);
        self.sliced = self.began;
    }

    /// A slice was done.
    pub(super) fn sliced(&mut self, core: &HeapCore) {
        self.sliced = clock(core);
    }

    /// A cycle has marked so many objects in cells of so many bytes, and `need` bytes are wanted. The lists were retired.
    pub(super) fn end(&mut self, core: &HeapCore, objects: u64, room: u64, need: u32) {
        self.ended = clock(core);
        self.survivors = room + (self.ended - self.began);
        self.average = room.checked_div(objects).unwrap_or(self.average).max(8);
        self.aim(core, u64::from(need));
    }

    fn aim(&mut self, core: &HeapCore, need: u64) {
        let max = core.max_bytes();
        self.goal = ((self.survivors + need) * 2).max(core.initial_bytes()).min(max);
        self.trigger = if max.saturating_sub(self.survivors) <= max / 16 {
            // So full a heap is collected when it is full.
            u64::MAX
        } else {
            self.survivors + self.goal.saturating_sub(self.survivors) / 2
        };
    }

    fn used(&self, core: &HeapCore) -> u64 {
        self.survivors + (clock(core) - self.ended)
    }
}
