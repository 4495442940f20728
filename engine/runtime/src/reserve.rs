//! Reserved address ranges of linear memories: mapped without access, committed by growth, unmapped on drop.

use std::ops::Range;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// A reserved range. Its first `committed` bytes can be read and written, the rest faults.
#[derive(Debug)]
pub(crate) struct Reservation {
    base: NonNull<u8>,
    bytes: usize,
    committed: usize,
}

impl Reservation {
    /// Reserves `bytes`; `None` when the system refuses.
    pub(crate) fn new(bytes: usize) -> Option<Reservation> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice disturbs nothing.
        let mapped = unsafe { mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags) }.ok()?;
        Some(Reservation { base: NonNull::new(mapped.cast())?, bytes, committed: 0 })
    }
    /// Makes the first `bytes` accessible; new ones are zero. False when the system refuses or the range is too small.
    pub(crate) fn commit(&mut self, bytes: usize) -> bool {
        if bytes <= self.committed {
            return true;
        }
        if bytes > self.bytes {
            return false;
        }
        // SAFETY: `committed` is at most `bytes`, so the sum stays in the mapping.
        let from = unsafe { self.base.as_ptr().add(self.committed) };
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the pages belong to this mapping.
        let done = unsafe { mprotect(from.cast(), bytes - self.committed, access) }.is_ok();
        if done {
            self.committed = bytes;
        }
        done
    }
    /// First address.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }
    /// All reserved addresses.
    pub(crate) fn addresses(&self) -> Range<usize> {
        let start = self.base.as_ptr().addr();
        start..start + self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: `new` made the mapping with this size; whoever holds a pointer into it lives in the same store.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "munmap of an own mapping");
    }
}
