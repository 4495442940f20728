//! The walk over all objects of a heap, dead or alive.

use super::{Heap, HeapCore, measure};
use crate::collector::Collector;
use crate::types::TypeId;
use crate::{Error, GcRef};

/// Calls `f` with each object: offset, type, bytes. The linear regions come first.
///
/// # Errors
/// `Corrupt` where an object is not well-formed.
pub(super) fn walk(
    core: &HeapCore,
    collector: &dyn Collector,
    f: &mut dyn FnMut(u32, TypeId, u32),
) -> Result<(), Error> {
    for region in core.regions().filter(|region| region.linear) {
        let view = core.memory.view(region.extent);
        let mut at = region.start;
        while at < region.end {
            let (id, size) = measure(&view, &core.layouts, at)?;
            if size > region.end - at {
                return Err(Error::corrupt("object reaches beyond its region", at));
            }
            f(at, id, size);
            at += size;
        }
    }
    collector.cells(core, &mut |at, room| {
        let view = core.view_at(at).ok_or_else(|| Error::corrupt("cell outside the regions", at))?;
        let (id, size) = measure(&view, &core.layouts, at)?;
        if size > room {
            return Err(Error::corrupt("object reaches beyond its cell", at));
        }
        f(at, id, size);
        Ok(())
    })
}

impl Heap {
    /// Calls `f` with each object in the heap (live or not yet reclaimed), in address order within a region, up to the
    /// first that is not well-formed.
    ///
    /// # Errors
    /// `Corrupt` at that one.
    pub fn try_for_each_object(&self, f: &mut dyn FnMut(GcRef, TypeId)) -> Result<(), Error> {
        walk(&self.core, &*self.collector, &mut |at, id, _| f(GcRef(at), id))
    }

    /// Calls `f` with each object in the heap (live or not yet reclaimed). Ends early on a corrupt heap; see
    /// [`Heap::try_for_each_object`].
    pub fn for_each_object(&self, f: &mut dyn FnMut(GcRef, TypeId)) {
        self.try_for_each_object(f).unwrap_or(());
    }

    /// What is there, live or not yet reclaimed: (objects, bytes of them).
    ///
    /// # Errors
    /// `Corrupt` at an object that is not well-formed.
    pub fn retained(&self) -> Result<(u64, u64), Error> {
        let mut counted = (0, 0);
        walk(&self.core, &*self.collector, &mut |_, _, size| {
            counted = (counted.0 + 1, counted.1 + u64::from(size));
        })?;
        Ok(counted)
    }
}
