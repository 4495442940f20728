//! `copying`: a semi-space collector after Cheney ("A nonrecursive list compacting algorithm", 1970).
//!
//! Concept: two halves of equal size; the mutator bumps through one. A collection copies what is reachable to the
//! other, breadth first, and the halves change roles. Mechanism: [`evacuate`]. Policy: when survivors and the pending
//! request fill more than half of the space, it doubles, up to the heap's limit; it never shrinks.
//!
//! Invariant: between collections only the active half holds objects, and `capacity` bytes of it are committed.

mod evacuate;

use evacuate::Evacuation;

use crate::collector::{AllocShape, BarrierShape, CodeShape, Collector, CollectorEntry, Constraints};
use crate::heap::HeapCore;
use crate::memory::{ExtentId, GRANULE, NULL_PAGE};
use crate::{CollectKind, Error, ErrorKind, RootPhase, RootSet};

const CONSTRAINTS: Constraints = Constraints {
    name: "copying",
    code: CodeShape {
        alloc: AllocShape::Bump,
        inline_max: u32::MAX,
        write_barrier: BarrierShape::None,
        barrier_on_roots: false,
        gc_word: false,
    },
    moves: true,
    collects: true,
    header_flags: 0,
    stress_kinds: &[CollectKind::Full],
    headroom: 120,
};

/// The registry's line.
pub(crate) const ENTRY: CollectorEntry = CollectorEntry {
    constraints: &CONSTRAINTS,
    about: "semi-space copying (Cheney); every survivor moves at every collection",
    make: || Box::new(Copying::default()),
};

#[derive(Clone, Copy)]
struct Half {
    extent: ExtentId,
    start: u32,
}

#[derive(Default)]
struct Copying {
    /// The active half, then the other; `None` before `start`.
    halves: Option<[Half; 2]>,
    /// Bytes of a half that the mutator may use.
    capacity: u64,
}

impl Copying {
    /// Opens `half` from `next` on, with more room if the policy asks for it.
    fn reopen(&mut self, core: &mut HeapCore, half: Half, next: u32, need: u32) {
        let wanted = u64::from(next - half.start) + u64::from(need);
        if wanted * 2 > self.capacity {
            let generous =
                (self.capacity * 2).max(wanted * 2).next_multiple_of(GRANULE).min(core.max_bytes());
            // Without memory for that the heap stays as it is, and the allocation fails in the end.
            if generous > self.capacity
                && core.memory.commit(half.extent, u64::from(half.start) + generous).is_ok()
            {
                self.capacity = generous;
                core.stats.grown += 1;
            }
        }
        core.open(half.extent, half.start, next, (u64::from(half.start) + self.capacity) as u32);
    }
}

// SAFETY: 1 and 7: `alloc` only moves the window's start, within committed memory. 2 to 6: see `evacuate`, whose
// to-space becomes the used space. 8: memory for to-space is committed before anything is copied.
unsafe impl Collector for Copying {
    fn constraints(&self) -> &'static Constraints {
        &CONSTRAINTS
    }

    fn start(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        let room = (core.memory.span() - NULL_PAGE) / 2 / GRANULE * GRANULE;
        core.limit_bytes(room);
        let size = core.granules(core.max_bytes());
        let active = Half { extent: core.extent(NULL_PAGE, NULL_PAGE + size)?, start: NULL_PAGE as u32 };
        let middle = NULL_PAGE + size;
        let other = Half { extent: core.extent(middle, middle + size)?, start: middle as u32 };
        self.capacity = core.initial_bytes();
        core.memory.commit(active.extent, u64::from(active.start) + self.capacity)?;
        self.halves = Some([active, other]);
        core.open(
            active.extent,
            active.start,
            active.start,
            (u64::from(active.start) + self.capacity) as u32,
        );
        Ok(())
    }

    fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        core.bump(size)
    }

    fn collect(
        &mut self,
        core: &mut HeapCore,
        _kind: CollectKind,
        need: u32,
        roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        let Some([from, to]) = self.halves else {
            return Err(Error::new(ErrorKind::Reservation { bytes: 0, os: 0 }));
        };
        core.memory.commit(to.extent, u64::from(to.start) + self.capacity)?;
        let used = core.used();
        let from_view = core.memory.view(from.extent);
        let to_view = core.memory.view(to.extent);
        let to_end = (u64::from(to.start) + self.capacity) as u32;
        to_view.claimed(to.start..to_end);
        let mut evacuation =
            Evacuation::new(&core.layouts, from_view, used.clone(), to_view, to.start..to_end);

        evacuation.roots(RootPhase::State, roots)?;
        evacuation.drain()?;
        let from_state = evacuation.objects();
        evacuation.roots(RootPhase::Frames, roots)?;
        evacuation.drain()?;

        let next = evacuation.free();
        let objects = evacuation.objects();
        let (root_slots, frame_slots) = evacuation.root_slots();
        from_view.freed(used.clone(), core.stress().poison);
        let survived = u64::from(next - to.start);
        core.stats.full += 1;
        core.stats.objects_survived += objects;
        core.stats.bytes_survived += survived;
        core.stats.bytes_copied += survived;
        core.stats.bytes_freed += u64::from(used.end - used.start) - survived;
        core.stats.survived_from_frames_only += objects - from_state;
        core.stats.roots += root_slots;
        core.stats.frame_roots += frame_slots;
        self.halves = Some([to, from]);
        self.reopen(core, to, next, need);
        Ok(())
    }
}
