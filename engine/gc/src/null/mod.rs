//! `null`: bumps and never collects. The yardstick for every other collector: what goes wrong here as well is not the
//! collector's fault.
//!
//! Invariant: one extent; nothing in it ever moves or dies. Memory is committed in doubling steps up to the limit.

use crate::collector::{AllocShape, BarrierShape, CodeShape, Collector, CollectorEntry, Constraints};
use crate::heap::HeapCore;
use crate::memory::{ExtentId, NULL_PAGE};
use crate::{CollectKind, Error, RootSet};

const CONSTRAINTS: Constraints = Constraints {
    name: "null",
    code: CodeShape {
        alloc: AllocShape::Bump,
        inline_max: u32::MAX,
        write_barrier: BarrierShape::None,
        barrier_on_roots: false,
        gc_word: false,
    },
    moves: false,
    collects: false,
    header_flags: 0,
    stress_kinds: &[],
    headroom: 0,
};

/// The registry's line.
pub(crate) const ENTRY: CollectorEntry = CollectorEntry {
    constraints: &CONSTRAINTS,
    about: "never collects; the program ends when the heap is full",
    make: || Box::new(Null::default()),
};

#[derive(Default)]
struct Null {
    space: Option<ExtentId>,
    /// Bytes that the window may use at present.
    capacity: u64,
}

impl Null {
    /// Lets the window reach `capacity`; `false` when the operating system refuses.
    fn grow(&mut self, core: &mut HeapCore, next: u32, capacity: u64) -> bool {
        let Some(space) = self.space else { return false };
        if core.memory.commit(space, NULL_PAGE + capacity).is_err() {
            return false;
        }
        self.capacity = capacity;
        core.open(space, NULL_PAGE as u32, next, (NULL_PAGE + capacity) as u32);
        true
    }
}

// SAFETY: 1, 4, 7: `alloc` only moves the window's start, within committed memory. 2, 3, 5, 6, 8 hold since `collect`
// touches nothing.
unsafe impl Collector for Null {
    fn constraints(&self) -> &'static Constraints {
        &CONSTRAINTS
    }

    fn start(&mut self, core: &mut HeapCore) -> Result<(), Error> {
        core.limit_bytes(core.memory.span() - NULL_PAGE);
        let limit = core.granules(NULL_PAGE + core.max_bytes());
        let space = core.extent(NULL_PAGE, limit)?;
        core.memory.commit(space, NULL_PAGE + core.initial_bytes())?;
        self.space = Some(space);
        self.grow(core, NULL_PAGE as u32, core.initial_bytes());
        Ok(())
    }

    fn alloc(&mut self, core: &mut HeapCore, size: u32) -> Option<u32> {
        if let Some(at) = core.bump(size) {
            return Some(at);
        }
        let next = core.used().end;
        let wanted = u64::from(next) - NULL_PAGE + u64::from(size);
        if wanted > core.max_bytes() {
            return None;
        }
        let generous = (self.capacity * 2).max(wanted).min(core.max_bytes());
        if !self.grow(core, next, generous) && !self.grow(core, next, wanted) {
            return None;
        }
        core.bump(size)
    }

    fn collect(
        &mut self,
        _core: &mut HeapCore,
        _kind: CollectKind,
        _need: u32,
        _roots: &mut dyn RootSet,
    ) -> Result<(), Error> {
        Ok(())
    }
}
