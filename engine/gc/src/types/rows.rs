//! The rows of the canonical types, as generated code sees them: one mapping of fixed address, indexed by type id.
//!
//! Invariant: rows are written only under the registry's lock, and never while their type is in use; readers (generated
//! code, [`TypeRegistry::is_subtype`](super::TypeRegistry::is_subtype)) need no lock. A free id's row is all zero.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::{DISPLAY_DEPTH, ROW_SHIFT, TypeRow};
use crate::header::MAX_TYPES;
use crate::{Error, ErrorKind};

const BYTES: usize = (MAX_TYPES as usize) << ROW_SHIFT;
const WORDS_PER_ROW: usize = 1 << (ROW_SHIFT - 2);
const _: () = assert!(size_of::<TypeRow>() == 1 << ROW_SHIFT);

/// The mapping that holds a [`TypeRow`] per id.
#[derive(Debug)]
pub(super) struct Rows {
    base: NonNull<AtomicU32>,
}

// SAFETY: the mapping belongs to this value alone, and its words are only touched as atomics.
unsafe impl Send for Rows {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

impl Rows {
    pub(super) fn new() -> Result<Rows, Error> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice disturbs nothing.
        let mapped =
            unsafe { mmap_anonymous(ptr::null_mut(), BYTES, ProtFlags::READ | ProtFlags::WRITE, flags) };
        let os = match mapped {
            Ok(address) => match NonNull::new(address.cast()) {
                Some(base) => return Ok(Rows { base }),
                None => 0,
            },
            Err(errno) => errno.raw_os_error(),
        };
        Err(Error::new(ErrorKind::Reservation { bytes: BYTES, os }))
    }

    pub(super) fn base(&self) -> *const TypeRow {
        self.base.as_ptr().cast_const().cast()
    }

    fn word(&self, id: u32, index: usize) -> &AtomicU32 {
        assert!(id < MAX_TYPES && index < WORDS_PER_ROW, "type id or row index out of range");
        let at = id as usize * WORDS_PER_ROW + index;
        // SAFETY: `at` is below BYTES / 4 by the assertion, so the word lies in the mapping.
        let word = unsafe { self.base.add(at) };
        // SAFETY: the mapping is readable, writable, zero-initialised, aligned, and lives as long as `self`.
        unsafe { word.as_ref() }
    }

    /// The `kind_depth` word; 0 for a free or impossible id.
    pub(super) fn kind_depth(&self, id: u32) -> u32 {
        if id < MAX_TYPES { self.word(id, 0).load(Ordering::Relaxed) } else { 0 }
    }

    /// The `KIND_*` of a type; 0 for a free or impossible id.
    pub(super) fn kind(&self, id: u32) -> u32 {
        self.kind_depth(id) & 0xff
    }

    /// Depth of a type in its supertype chain.
    pub(super) fn depth(&self, id: u32) -> usize {
        (self.kind_depth(id) >> 8 & 0xff) as usize
    }

    /// The ancestor at `depth`; 0 beyond the type's own depth.
    pub(super) fn ancestor(&self, id: u32, depth: usize) -> u32 {
        if id < MAX_TYPES && depth < DISPLAY_DEPTH {
            self.word(id, 1 + depth).load(Ordering::Relaxed)
        } else {
            0
        }
    }

    /// Fills the row of `id`, a subtype of `parent` (whose row is filled already).
    pub(super) fn fill(&self, id: u32, kind: u32, parent: Option<u32>) {
        let depth = parent.map_or(0, |parent| self.depth(parent) + 1);
        if let Some(parent) = parent {
            for level in 0..depth {
                self.word(id, 1 + level).store(self.ancestor(parent, level), Ordering::Relaxed);
            }
        }
        self.word(id, 1 + depth).store(id, Ordering::Relaxed);
        self.word(id, 0).store(kind | (depth as u32) << 8, Ordering::Release);
    }

    /// Zeroes the row of `id`.
    pub(super) fn clear(&self, id: u32) {
        let depth = self.depth(id);
        self.word(id, 0).store(0, Ordering::Relaxed);
        for level in 0..=depth {
            self.word(id, 1 + level).store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this size, and nobody can hold a reference into it any more.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), BYTES) };
        debug_assert!(unmapped.is_ok(), "munmap of an own mapping");
    }
}
