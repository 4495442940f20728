//! The large-object space: objects above [`MAX_SMALL`](super::classes::MAX_SMALL), each in a stretch of its own.
//!
//! Free stretches are coalesced and reused first-fit; what is freed at the end goes back to the frontier, and large
//! free stretches give their pages back to the operating system.
//!
//! Invariant: objects and free stretches divide `[start, top)` between them. Where objects start is known here, outside
//! the heap; no word of the heap is believed.

use std::collections::BTreeMap;

use crate::Error;
use crate::heap::{HeapCore, RegionId};
use crate::memory::{ExtentId, View};

/// Stretches are multiples of this: a card, so that no two objects share one.
const GRAIN: u32 = 512;
/// Free stretches of this many bytes give their pages back.
const DISCARD: u32 = 1 << 16;

/// A large object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LargeObject {
    /// Bytes asked for.
    pub(crate) size: u32,
    /// The collector's mark.
    pub(crate) marked: bool,
    /// Whether it was allocated since the collector last said otherwise.
    pub(crate) young: bool,
}

/// The large objects of a heap.
pub(crate) struct Large {
    extent: ExtentId,
    region: RegionId,
    limit: u64,
    objects: BTreeMap<u32, LargeObject>,
    /// Start and bytes.
    free: BTreeMap<u32, u32>,
    top: u32,
    used: u64,
}

impl Large {
    /// Makes `[start, limit)` of the reservation the large-object space.
    ///
    /// # Errors
    /// `Reservation`.
    pub(crate) fn new(core: &mut HeapCore, start: u64, limit: u64) -> Result<Large, Error> {
        let extent = core.extent(start, limit)?;
        let region = core.add_region(extent, start as u32, false);
        let (objects, free) = (BTreeMap::new(), BTreeMap::new());
        Ok(Large { extent, region, limit, objects, free, top: start as u32, used: 0 })
    }

    /// A view of the space.
    pub(crate) fn view<'c>(&self, core: &'c HeapCore) -> View<'c> {
        core.memory.view(self.extent)
    }

    /// Takes room for an object of `size` bytes.
    pub(crate) fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        let bytes = size.checked_next_multiple_of(GRAIN)?;
        let at = match self.free.iter().find(|&(_, &len)| len >= bytes).map(|(&at, &len)| (at, len)) {
            Some((at, len)) => {
                self.free.remove(&at);
                if len > bytes {
                    self.free.insert(at + bytes, len - bytes);
                }
                at
            }
            None => {
                let (at, end) = (self.top, u64::from(self.top) + u64::from(bytes));
                // The last offsets of 32 bits stay unused: nothing may end there.
                if end > self.limit || end > u64::from(u32::MAX - GRAIN) {
                    return None;
                }
                let grown = core.memory.commit(self.extent, end).ok()?;
                core.stats.grown += u64::from(grown);
                self.top = end as u32;
                core.set_region_end(self.region, self.top);
                at
            }
        };
        self.view(core).claimed(at..at + size);
        self.objects.insert(at, LargeObject { size, marked: false, young: true });
        self.used += u64::from(size);
        core.stats.bytes_allocated += u64::from(size);
        Some(at)
    }

    /// The object that starts at `at`.
    pub(crate) fn get(&self, at: u32) -> Option<&LargeObject> {
        self.objects.get(&at)
    }

    /// The same, to change.
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut LargeObject> {
        self.objects.get_mut(&at)
    }

    /// All objects, in address order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &LargeObject)> {
        self.objects.iter().map(|(&at, object)| (at, object))
    }

    /// The same, to change.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut LargeObject)> {
        self.objects.iter_mut().map(|(&at, object)| (at, object))
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Frees the object at `at`.
    pub(crate) fn free(&mut self, core: &mut HeapCore, at: u32) {
        let Some(object) = self.objects.remove(&at) else { return };
        self.used -= u64::from(object.size);
        core.stats.objects_freed += 1;
        core.stats.large_freed += 1;
        core.stats.bytes_freed += u64::from(object.size);
        let mut start = at;
        let mut end = at + object.size.next_multiple_of(GRAIN);
        self.view(core).freed(at..at + object.size, core.stress().poison);
        if let Some((&before, &len)) = self.free.range(..start).next_back()
            && before + len == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(len) = self.free.remove(&end) {
            end += len;
        }
        if end == self.top {
            self.top = start;
            core.set_region_end(self.region, start);
        } else {
            self.free.insert(start, end - start);
        }
        let freed = at..at + object.size.next_multiple_of(GRAIN);
        if object.size >= DISCARD && core.memory.discard(self.extent, freed) {
            core.stats.shrunk += 1;
        }
    }

    /// Frees what is not alive.
    pub(crate) fn sweep(&mut self, core: &mut HeapCore, alive: impl Fn(u32, &LargeObject) -> bool) {
        let dead: Vec<u32> =
            self.objects.iter().filter(|&(&at, object)| !alive(at, object)).map(|(&at, _)| at).collect();
        dead.into_iter().for_each(|at| self.free(core, at));
    }
}
