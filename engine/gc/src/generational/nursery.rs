//! The nursery: two halves of which the mutator bumps through one.
//!
//! Invariant: between collections only the active half holds objects. Those below `aged` have survived one collection,
//! the others none. `capacity` bytes of the active half are committed, and the window ends no later than there.

use super::policy;
use crate::Error;
use crate::heap::HeapCore;
use crate::memory::ExtentId;

#[derive(Clone, Copy)]
pub(super) struct Half {
    pub(super) extent: ExtentId,
    pub(super) start: u32,
}

pub(super) struct Nursery {
    /// The active half, then the other.
    halves: [Half; 2],
    /// Bytes of a half that the mutator may use.
    capacity: u32,
    /// Bounds of `capacity`.
    least: u32,
    most: u32,
    /// The boundary of age.
    pub(super) aged: u32,
    /// Where the window ends, closed or not.
    limit: u32,
}

impl Nursery {
    /// Makes two halves of `size` bytes from `start` on.
    ///
    /// # Errors
    /// `Reservation`.
    pub(super) fn new(core: &mut HeapCore, start: u64, size: u64) -> Result<Nursery, Error> {
        let active = Half { extent: core.extent(start, start + size)?, start: start as u32 };
        let middle = start + size;
        let other = Half { extent: core.extent(middle, middle + size)?, start: middle as u32 };
        let (least, most) = policy::nursery_bounds(core.initial_bytes(), core.max_bytes(), size);
        let mut nursery = Nursery {
            halves: [active, other],
            capacity: 0,
            least,
            most,
            aged: active.start,
            limit: active.start,
        };
        nursery.set_capacity(core, least)?;
        Ok(nursery)
    }

    pub(super) fn active(&self) -> Half {
        self.halves[0]
    }

    pub(super) fn idle(&self) -> Half {
        self.halves[1]
    }

    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    pub(super) fn least(&self) -> u32 {
        self.least
    }

    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// Where the window ends.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Bytes of survivors that the other half takes; the rest of the capacity stays for new objects, at least
    /// [`INLINE_MAX`](super::INLINE_MAX) bytes.
    pub(super) fn survivors(&self) -> u32 {
        self.capacity / 2
    }

    /// Commits `capacity` bytes of the active half, and lets the mutator use them when the window is opened next.
    ///
    /// # Errors
    /// `Reservation`; nothing has changed then.
    pub(super) fn set_capacity(&mut self, core: &mut HeapCore, capacity: u32) -> Result<(), Error> {
        let active = self.active();
        core.memory.commit(active.extent, u64::from(active.start) + u64::from(capacity))?;
        self.capacity = capacity;
        Ok(())
    }

    /// Makes the other half the active one; its objects end at `next`, and all have survived a collection.
    pub(super) fn swap(&mut self, next: u32) {
        self.halves.swap(0, 1);
        self.aged = next;
    }

    /// Opens the window from `next` on, as far as `room` bytes for the whole half allow.
    pub(super) fn open(&mut self, core: &mut HeapCore, next: u32, room: u64) {
        let active = self.active();
        let bytes = u64::from(self.capacity).min(room) as u32;
        self.limit = (active.start + bytes).max(next);
        core.open(active.extent, active.start, next, self.limit);
    }
}
