//! The large-object space: objects above [`MAX_SMALL`](super::classes::MAX_SMALL), each in a stretch of its own.
//!
//! Free stretches are coalesced and reused best-fit; what is freed at the end goes back to the frontier. A stretch
//! remembers which part of it may have pages, and gives them back to the operating system when they are many.
//!
//! Invariant: objects and free stretches divide `[start, top)` between them, no two free ones side by side. Where objects start is known here, outside
//! the heap; no word of the heap is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::Error;
use crate::heap::{HeapCore, RegionId};
use crate::memory::{ExtentId, View};
use crate::verify::broken;

/// Stretches are multiples of this: a card, so that no two objects share one.
const GRAIN: u32 = 512;
/// Pages are given back so many bytes at a time, at least; a multiple of a page on every host.
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

/// Free space behind its start.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Stretch {
    end: u32,
    /// Outside of this no whole page of it is in memory.
    touched: Range<u32>,
}

/// The large objects of a heap.
pub(crate) struct Large {
    extent: ExtentId,
    region: RegionId,
    start: u32,
    limit: u64,
    objects: BTreeMap<u32, LargeObject>,
    /// By start.
    free: BTreeMap<u32, Stretch>,
    /// Bytes and start of each of them.
    by_size: BTreeSet<(u32, u32)>,
    /// Where the frontier begins.
    top: u32,
    /// What may have pages behind it.
    touched: Range<u32>,
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
        let start = start as u32;
        Ok(Large {
            extent,
            region,
            start,
            limit,
            objects: BTreeMap::new(),
            free: BTreeMap::new(),
            by_size: BTreeSet::new(),
            top: start,
            touched: start..start,
            used: 0,
        })
    }

    /// A view of the space.
    pub(crate) fn view<'c>(&self, core: &'c HeapCore) -> View<'c> {
        core.memory.view(self.extent)
    }

    /// Takes room for an object of `size` bytes.
    pub(crate) fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        let bytes = size.checked_next_multiple_of(GRAIN)?;
        let at = match self.by_size.range((bytes, 0)..).next() {
            Some(&(_, at)) => {
                let Stretch { end, touched } = self.take_free(at)?;
                let rest = at + bytes;
                if rest < end {
                    let touched = touched.start.max(rest)..touched.end.max(rest);
                    self.put_free(rest, Stretch { end, touched });
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
                self.touched = self.touched.start.max(self.top)..self.touched.end.max(self.top);
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
        self.view(core).freed(at..at + object.size, core.stress().poison);
        let (mut start, mut end) = (at, at + object.size.next_multiple_of(GRAIN));
        let mut touched = start..end;
        if let Some((&before, &Stretch { end, .. })) = self.free.range(..start).next_back()
            && end == start
            && let Some(stretch) = self.take_free(before)
        {
            start = before;
            touched = hull(touched, stretch.touched);
        }
        if let Some(behind) = self.take_free(end) {
            end = behind.end;
            touched = hull(touched, behind.touched);
        }
        let last = end == self.top;
        if last {
            touched = hull(touched, self.touched.clone());
            end = end.max(touched.end);
        }
        touched = self.discard(core, start..end, touched);
        if last {
            (self.top, self.touched) = (start, touched);
            core.set_region_end(self.region, start);
        } else {
            self.put_free(start, Stretch { end, touched });
        }
    }

    /// Gives the pages of `touched` in the free `space` back, if they are many; what may have pages afterwards.
    fn discard(&self, core: &mut HeapCore, space: Range<u32>, touched: Range<u32>) -> Range<u32> {
        if touched.end - touched.start < DISCARD {
            return touched;
        }
        // Pages of which another part was free before go with it.
        let end = touched.end.checked_next_multiple_of(DISCARD).unwrap_or(u32::MAX);
        let pages = (touched.start / DISCARD * DISCARD).max(space.start)..end.min(space.end);
        core.stats.shrunk += u64::from(core.memory.discard(self.extent, pages));
        space.start..space.start
    }

    fn take_free(&mut self, at: u32) -> Option<Stretch> {
        let stretch = self.free.remove(&at)?;
        self.by_size.remove(&(stretch.end - at, at));
        Some(stretch)
    }

    fn put_free(&mut self, at: u32, stretch: Stretch) {
        self.by_size.insert((stretch.end - at, at));
        self.free.insert(at, stretch);
    }

    /// Checks that objects and free stretches divide the space, and that the books agree.
    ///
    /// # Errors
    /// `Verify`.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let objects =
            self.objects.iter().map(|(&at, object)| (at, at + object.size.next_multiple_of(GRAIN), false));
        let free = self.free.iter().map(|(&at, stretch)| (at, stretch.end, true));
        let mut pieces: Vec<(u32, u32, bool)> = objects.chain(free).collect();
        pieces.sort_unstable();
        // A free stretch at the frontier would be of the frontier.
        pieces.push((self.top, self.top, true));
        let (mut behind, mut is_free) = (self.start, false);
        for (at, end, free) in pieces {
            if at != behind {
                return broken(at, &format!("what lies before it ends at {behind:#x}"));
            }
            if free && is_free {
                return broken(at, "two free stretches side by side");
            }
            (behind, is_free) = (end, free);
        }
        for (&at, stretch) in &self.free {
            let Range { start, end } = stretch.touched;
            if start < end && (start < at || end > stretch.end) {
                return broken(at, "a free stretch whose pages lie outside of it");
            }
        }
        let by_size: BTreeSet<(u32, u32)> = self.free.iter().map(|(&at, free)| (free.end - at, at)).collect();
        if by_size != self.by_size {
            return broken(self.start, "free stretches by size that are not those by start");
        }
        let used: u64 = self.objects.values().map(|object| u64::from(object.size)).sum();
        if used != self.used {
            return broken(self.start, &format!("large objects of {used} bytes, counted as {}", self.used));
        }
        Ok(())
    }

    /// Frees what is not alive.
    pub(crate) fn sweep(&mut self, core: &mut HeapCore, alive: impl Fn(u32, &LargeObject) -> bool) {
        let dead: Vec<u32> =
            self.objects.iter().filter(|&(&at, object)| !alive(at, object)).map(|(&at, _)| at).collect();
        dead.into_iter().for_each(|at| self.free(core, at));
    }
}

/// The smallest range that holds both.
fn hull(one: Range<u32>, other: Range<u32>) -> Range<u32> {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other,
        (_, true) => one,
        (false, false) => one.start.min(other.start)..one.end.max(other.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeapConfig;
    use crate::memory::NULL_PAGE;

    /// A space with objects of these sizes, in this order.
    fn space(sizes: &[u32]) -> (HeapCore, Large, Vec<u32>) {
        let mut core = HeapCore::bare(HeapConfig::default());
        let mut large = Large::new(&mut core, NULL_PAGE, 1 << 30).unwrap();
        let at = sizes.iter().map(|&size| large.alloc(&mut core, size).unwrap()).collect();
        (core, large, at)
    }

    /// Bytes of it that are in memory.
    fn resident(core: &HeapCore, range: Range<u32>) -> usize {
        let page = crate::memory::PAGE as usize;
        let start = core.memory.base().addr() + range.start as usize;
        // /proc/self/pagemap: eight bytes a page, of which bit 63 says that it is present.
        use std::os::unix::fs::FileExt;
        let mut entries = vec![0; (range.end - range.start) as usize / page * 8];
        let map = std::fs::File::open("/proc/self/pagemap").unwrap();
        map.read_exact_at(&mut entries, (start / page * 8) as u64).unwrap();
        entries.chunks(8).filter(|entry| entry[7] & 0x80 != 0).count() * page
    }

    #[test]
    fn the_smallest_hole_that_fits_is_taken() {
        let (mut core, mut large, at) = space(&[8192, 2048, 4096, 2048, 2048, 2048]);
        [0, 2, 4].into_iter().for_each(|hole| large.free(&mut core, at[hole]));
        assert_eq!(large.alloc(&mut core, 2000), Some(at[4]));
        assert_eq!(large.alloc(&mut core, 4096), Some(at[2]));
        assert_eq!(large.alloc(&mut core, 4096), Some(at[0]));
        assert_eq!(large.alloc(&mut core, 4096), Some(at[0] + 4096));
        assert_eq!(large.free.len() + large.by_size.len(), 0);
        large.check().unwrap();
    }

    #[test]
    fn pages_of_dead_neighbours_go_back_together() {
        let size = DISCARD / 2 + GRAIN;
        let (mut core, mut large, at) = space(&[size; 10]);
        let all = at[0]..large.top;
        large.view(&core).fill(at[0], (all.end - all.start) as usize, 1).unwrap();
        assert_eq!(resident(&core, all.clone()), (all.end - all.start) as usize / 4096 * 4096);
        for dead in [4, 2, 3, 6, 7, 5] {
            large.free(&mut core, at[dead]);
            large.check().unwrap();
        }
        // The last one to die is too small for itself.
        assert!(resident(&core, at[2]..at[8] / 4096 * 4096) < DISCARD as usize);
        assert_eq!(large.view(&core).read_u32(at[2] - 4), Some(0x0101_0101));
        assert_eq!(large.view(&core).read_u32(at[8]), Some(0x0101_0101));
        // The frontier likewise.
        [9, 8].into_iter().for_each(|dead| large.free(&mut core, at[dead]));
        assert_eq!(large.top, at[2]);
        assert!(resident(&core, at[2]..all.end / 4096 * 4096) < DISCARD as usize);
        assert!(core.stats.shrunk >= 3);
        large.check().unwrap();
    }

    #[test]
    fn random_objects_tile_the_space() {
        let (mut core, mut large, mut alive) = space(&[]);
        let mut state = 1u32;
        for step in 0..4000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pick = (state >> 8) as usize;
            if step % 500 < 300 && !pick.is_multiple_of(3) || alive.is_empty() {
                let size = if pick.is_multiple_of(7) { 200_000 } else { 1032 + (state >> 20) / 8 * 8 };
                alive.push(large.alloc(&mut core, size).unwrap());
            } else {
                let dead = alive.swap_remove(pick % alive.len());
                large.free(&mut core, dead);
            }
            large.check().unwrap();
            assert_eq!(large.objects.len(), alive.len());
        }
        alive.into_iter().for_each(|at| large.free(&mut core, at));
        assert_eq!((large.top, large.used), (large.start, 0));
        large.check().unwrap();
    }

    #[test]
    fn what_does_not_tile_the_space_is_reported() {
        type Damage = fn(&mut Large, &[u32]);
        let damages: [Damage; 9] = [
            |large, at| large.top = at[3] + GRAIN,
            |large, _| large.top += GRAIN,
            |large, at| _ = large.take_free(at[1]),
            |large, at| _ = large.objects.remove(&at[2]),
            |large, at| large.objects.get_mut(&at[0]).unwrap().size += GRAIN,
            |large, at| large.free.get_mut(&at[1]).unwrap().end -= GRAIN,
            |large, at| large.free.get_mut(&at[1]).unwrap().touched.start -= 8,
            |large, at| _ = large.by_size.insert((GRAIN, at[0])),
            |large, _| large.used -= 8,
        ];
        for damage in damages {
            let (mut core, mut large, at) = space(&[2048; 5]);
            [1, 4, 3].into_iter().for_each(|dead| large.free(&mut core, at[dead]));
            assert_eq!(large.top, at[3]);
            large.check().unwrap();
            damage(&mut large, &at);
            large.check().unwrap_err();
        }
    }
}
