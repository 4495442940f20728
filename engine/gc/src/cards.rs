//! The card table: a byte for each [`CARD_BYTES`](crate::CARD_BYTES) of the reservation, which generated code sets without a call.
//!
//! It covers the guard behind the heap too, so that a store through any 32-bit word and any field offset marks a card
//! of the table. Pages of it that nothing marks take no memory.

use std::ops::Range;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::memory::GUARD;
use crate::mutator::CARD_SHIFT;
use crate::{Error, ErrorKind};

/// The cards of one heap.
pub(crate) struct Cards {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone.
unsafe impl Send for Cards {}

impl Cards {
    /// Clean cards for `span` bytes of heap and the guard.
    ///
    /// # Errors
    /// `Reservation`.
    pub(crate) fn new(span: u64) -> Result<Cards, Error> {
        let len = ((span + GUARD) >> CARD_SHIFT) as usize;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice disturbs nothing.
        let mapped = unsafe { mmap_anonymous(ptr::null_mut(), len, access, flags) };
        let os = match mapped {
            Ok(address) => match NonNull::new(address.cast()) {
                Some(base) => return Ok(Cards { base, len }),
                None => 0,
            },
            Err(errno) => errno.raw_os_error(),
        };
        Err(Error::new(ErrorKind::Reservation { bytes: len, os }))
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// The card of heap offset `at`.
    pub(crate) fn of(at: u32) -> u32 {
        at >> CARD_SHIFT
    }

    fn card(&self, card: u32) -> Option<NonNull<u8>> {
        // SAFETY: the index is checked to lie in the mapping.
        ((card as usize) < self.len).then(|| unsafe { self.base.add(card as usize) })
    }

    /// Whether `card` is dirty.
    pub(crate) fn is_dirty(&self, card: u32) -> bool {
        // SAFETY: `card` lies in the mapping; the mutator does not run now.
        self.card(card).is_some_and(|card| unsafe { card.read() } != 0)
    }

    /// Marks or cleans `card`.
    pub(crate) fn set(&self, card: u32, dirty: bool) {
        if let Some(card) = self.card(card) {
            // SAFETY: it lies in the mapping; the mutator does not run now.
            unsafe { card.write(u8::from(dirty)) };
        }
    }

    /// Marks the cards of a heap range.
    pub(crate) fn mark(&self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        (Cards::of(range.start)..=Cards::of(range.end - 1)).for_each(|card| self.set(card, true));
    }

    /// Cleans the cards of a heap range.
    pub(crate) fn clean(&self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        (Cards::of(range.start)..=Cards::of(range.end - 1)).for_each(|card| self.set(card, false));
    }

    /// The dirty cards of a heap range, ascending. Clean stretches are skipped eight cards at a time.
    pub(crate) fn dirty(&self, range: Range<u32>) -> Vec<u32> {
        let mut found = Vec::new();
        if range.is_empty() {
            return found;
        }
        let (mut card, last) = (Cards::of(range.start), Cards::of(range.end - 1));
        while card <= last {
            if card.is_multiple_of(8) && last - card >= 7 && (card as usize) + 8 <= self.len {
                // SAFETY: eight cards from here lie in the mapping, which is page-aligned.
                let eight = unsafe { self.base.add(card as usize).cast::<u64>().read() };
                if eight == 0 {
                    card += 8;
                    continue;
                }
            }
            if self.is_dirty(card) {
                found.push(card);
            }
            card += 1;
        }
        found
    }
}

impl Drop for Cards {
    fn drop(&mut self) {
        // SAFETY: `new` made the mapping with this size.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "munmap of an own mapping");
    }
}
