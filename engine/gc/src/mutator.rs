//! What generated code and a heap share: allocation, marking state, the barrier's log and cards.
//!
//! The [`Mutator`] lies outside every Rust value, at a stable address, since generated code reads and writes it while
//! no Rust code of the store runs. Its words are checked whenever they are read back: a stray store of generated code
//! cannot reach it, but its words come from heap words (the head of a free list is read from a free cell).

use std::ptr::{self, NonNull};

use crate::space::classes::SIZE_CLASSES;

/// The mutator's state; which fields count depends on the collector's [`Constraints`](crate::Constraints). While a
/// mode closes the window, `next == end` and all heads are 0, so that each inline allocation takes the slow path.
#[repr(C)]
#[derive(Debug)]
pub struct Mutator {
    /// Heap offset of the next object (`AllocShape::Bump`).
    pub next: u32,
    /// Heap offset behind the bump window.
    pub end: u32,
    /// What inline allocation writes into the collector's word of a fresh object; `BarrierShape::Snapshot` into that of an
    /// object that it marks.
    pub fresh: u32,
    /// Not 0 while `BarrierShape::Snapshot` has work to do.
    pub marking: u32,
    /// The collector's word of an object that this barrier passes over.
    pub colour: u32,
    /// Words that found no room in the log.
    pub log_lost: u64,
    /// Next free entry of the log.
    pub log_next: *mut u32,
    /// Behind the log's last entry.
    pub log_end: *mut u32,
    /// Card 0 (`BarrierShape::Card`): a byte for each [`CARD_BYTES`] of the reservation and its guard; 1 = dirty.
    pub cards: *mut u8,
    /// By size class, the first free cell or 0 (`AllocShape::FreeList`). The next one stands in the cell's collector's
    /// word; a free cell's type word is 0.
    pub heads: [u32; SIZE_CLASSES],
}

impl Default for Mutator {
    /// Nothing to allocate from, no log, no cards.
    fn default() -> Mutator {
        Mutator {
            next: 0,
            end: 0,
            fresh: 0,
            marking: 0,
            colour: 0,
            log_lost: 0,
            log_next: ptr::null_mut(),
            log_end: ptr::null_mut(),
            cards: ptr::null_mut(),
            heads: [0; SIZE_CLASSES],
        }
    }
}

/// What a reference adds to the collector's word of its referent (`BarrierShape::Count`). A word holds the count of all
/// slots that there can be: 2^30 in the heap, and those of tables and globals.
pub const COUNT_ONE: u32 = 2;
/// Set in that word while the log holds the object.
pub const COUNT_LOGGED: u32 = 1;

/// log2 of [`CARD_BYTES`].
pub const CARD_SHIFT: u32 = 9;
/// Bytes of heap that a card stands for.
pub const CARD_BYTES: u32 = 1 << CARD_SHIFT;

/// The stable home of a [`Mutator`].
pub(crate) struct MutatorCell(NonNull<Mutator>);

// SAFETY: the mutator belongs to this value alone and is not tied to a thread.
unsafe impl Send for MutatorCell {}

impl MutatorCell {
    pub(crate) fn new() -> MutatorCell {
        MutatorCell(NonNull::from(Box::leak(Box::new(Mutator::default()))))
    }

    pub(crate) fn as_ptr(&self) -> *mut Mutator {
        self.0.as_ptr()
    }

    /// Reads or writes it; no reference leaves `f`.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Mutator) -> R) -> R {
        // SAFETY: allocated by `new`, freed by `drop` only; generated code that uses it is not running now, and the
        // closures of this crate do not nest.
        f(unsafe { &mut *self.0.as_ptr() })
    }
}

impl Drop for MutatorCell {
    fn drop(&mut self) {
        // SAFETY: `new` leaked this box, and nothing else frees it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The log that barriers push into: heap words, not trusted.
pub(crate) struct Log {
    first: NonNull<u32>,
    entries: usize,
    /// Whether there is no room for more words, whatever is in it.
    closed: bool,
}

// SAFETY: the entries belong to this value alone.
unsafe impl Send for Log {}

impl Log {
    /// An empty log of `entries` words, closed or not, announced to the mutator.
    pub(crate) fn new(entries: usize, closed: bool, mutator: &MutatorCell) -> Log {
        let words: Box<[u32]> = vec![0; entries].into();
        let log = Log { first: NonNull::from(Box::leak(words)).cast(), entries, closed };
        log.reset(mutator);
        log
    }

    fn reset(&self, mutator: &MutatorCell) {
        mutator.with(|mutator| {
            mutator.log_next = self.first.as_ptr();
            mutator.log_lost = 0;
        });
        self.announce_end(mutator);
    }

    fn announce_end(&self, mutator: &MutatorCell) {
        let room = if self.closed { self.len(mutator) } else { self.entries };
        // SAFETY: at most one past the end of the allocation.
        mutator.with(|mutator| mutator.log_end = unsafe { self.first.as_ptr().add(room) });
    }

    /// Leaves no room for more words, or gives it again; what is in the log stays.
    pub(crate) fn close(&mut self, closed: bool, mutator: &MutatorCell) {
        self.closed = closed;
        self.announce_end(mutator);
    }

    /// Whether the next entry goes inside it, or right behind it if it is full.
    pub(crate) fn is_inside(&self, mutator: &MutatorCell) -> bool {
        let next = mutator.with(|mutator| mutator.log_next.addr());
        let taken = next.wrapping_sub(self.first.as_ptr().addr());
        taken <= 4 * self.entries && taken.is_multiple_of(4)
    }

    /// Entries in it.
    pub(crate) fn len(&self, mutator: &MutatorCell) -> usize {
        let next = mutator.with(|mutator| mutator.log_next.addr());
        (next.wrapping_sub(self.first.as_ptr().addr()) / 4).min(self.entries)
    }

    /// Its room, closed or not.
    pub(crate) fn capacity(&self) -> usize {
        self.entries
    }

    /// Adds a word, as generated code does; whether there was room.
    pub(crate) fn push(&self, mutator: &MutatorCell, word: u32) -> bool {
        let len = self.len(mutator);
        if self.closed || len == self.entries {
            mutator.with(|mutator| mutator.log_lost += 1);
            return false;
        }
        // SAFETY: `len` is below the number of entries.
        let at = unsafe { self.first.as_ptr().add(len) };
        // SAFETY: as above.
        unsafe { at.write(word) };
        // SAFETY: at most one past the end.
        mutator.with(|mutator| mutator.log_next = unsafe { at.add(1) });
        true
    }

    /// Empties it: its words, and how many others were lost.
    pub(crate) fn take(&self, mutator: &MutatorCell) -> (Vec<u32>, u64) {
        let lost = mutator.with(|mutator| mutator.log_lost);
        // SAFETY: the first `len` entries are initialised, and the mutator does not run now.
        let words = unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len(mutator)) }.to_vec();
        self.reset(mutator);
        (words, lost)
    }

    /// The words in it.
    pub(crate) fn words(&self, mutator: &MutatorCell) -> Vec<u32> {
        // SAFETY: as in `take`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len(mutator)) }.to_vec()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let words = ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.entries);
        // SAFETY: `new` leaked this box, and nothing else frees it.
        drop(unsafe { Box::from_raw(words) });
    }
}
