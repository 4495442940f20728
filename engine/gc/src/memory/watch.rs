//! Where space changes hands: the one way by which a collector frees space and hands it out.
//!
//! What is freed is filled with poison, if that stress mode is on, and is made known to whatever watches the heap: the
//! [`shadow`](super::shadow) with feature `checked`, AddressSanitizer with feature `asan`, and valgrind's memcheck with
//! feature `valgrind`. To the tools freed and unclaimed space is inaccessible, but for the headers of free cells, which
//! collectors read. Without these features everything here but the poison is nothing.
//!
//! Invariant: all ranges are multiples of 8, which is what AddressSanitizer can tell apart.

use std::ops::Range;

use super::View;
#[cfg(feature = "checked")]
use super::shadow::Event;
use super::tools;
use crate::header::{HEADER_SIZE, POISON_BYTE};

/// Whether anything watches: work that is done for a watcher alone is left undone without one.
pub(crate) const WATCHED: bool = cfg!(any(feature = "checked", feature = "asan", feature = "valgrind"));

impl View<'_> {
    /// Nothing in `range` is an object any more: what was, is dead or has moved. Fills it with poison if `poison` says
    /// so.
    pub(crate) fn freed(&self, range: Range<u32>, poison: bool) {
        self.poison(&range, poison);
        #[cfg(feature = "checked")]
        self.shadow.change(range.clone(), Event::Freed { poisoned: poison });
        self.tell(&range, tools::closed);
    }

    /// `range` holds no objects, and the mutator may make some there, or copies come there.
    #[inline(always)]
    pub(crate) fn claimed(&self, range: Range<u32>) {
        #[cfg(feature = "checked")]
        {
            self.still_poisoned(&range);
            self.shadow.change(range.clone(), Event::Claimed);
        }
        self.tell(&range, tools::opened);
    }

    /// What is left of claimed space is claimed no more.
    #[inline(always)]
    pub(crate) fn withdrawn(&self, range: Range<u32>) {
        #[cfg(feature = "checked")]
        self.shadow.change(range.clone(), Event::Withdrawn);
        self.tell(&range, tools::closed);
    }

    /// The object of the cell at `at` is dead. The header is the collector's from here on.
    #[inline(always)]
    pub(crate) fn freed_cell(&self, at: u32, size: u32, poison: bool) {
        #[cfg(feature = "checked")]
        self.shadow.change(at..at + HEADER_SIZE, Event::CellHeaderFreed);
        if poison || WATCHED {
            self.freed(at + HEADER_SIZE..at + size, poison);
        }
    }

    /// The first words of free space at `at` are the header of a free cell.
    #[inline(always)]
    pub(crate) fn carved_cell(&self, at: u32) {
        let header = at..at + HEADER_SIZE;
        #[cfg(feature = "checked")]
        {
            self.still_poisoned(&header);
            self.shadow.change(header.clone(), Event::CellHeaderCarved);
        }
        self.tell(&header, tools::opened);
    }

    /// The mutator may take the free cell at `at`.
    #[inline(always)]
    pub(crate) fn listed_cell(&self, at: u32, size: u32) {
        #[cfg(feature = "checked")]
        self.shadow.change(at..at + HEADER_SIZE, Event::CellHeaderListed);
        self.claimed(at + HEADER_SIZE..at + size);
    }

    /// The mutator has not taken the cell at `at`, and may not any more.
    #[inline(always)]
    pub(crate) fn unlisted_cell(&self, at: u32, size: u32) {
        #[cfg(feature = "checked")]
        self.shadow.change(at..at + HEADER_SIZE, Event::CellHeaderTakenBack);
        self.withdrawn(at + HEADER_SIZE..at + size);
    }

    /// The free cells of `range` are cells no more. `headers` are filled with poison if `poison` says so.
    pub(crate) fn dissolved_cells(&self, range: Range<u32>, size: u32, poison: bool) {
        if poison {
            let cells = range.clone().step_by(size as usize).filter(|at| range.end - at >= size);
            cells.for_each(|at| self.poison(&(at..at + HEADER_SIZE), true));
        }
        #[cfg(feature = "checked")]
        self.shadow.change(range.clone(), Event::CellsDissolved { poisoned: poison });
        self.tell(&range, tools::closed);
    }

    /// Fills what is about to be free.
    fn poison(&self, range: &Range<u32>, poison: bool) {
        if poison {
            self.set(range.start, (range.end - range.start) as usize, POISON_BYTE);
        }
    }

    /// Tells the tools of a range of addresses.
    #[inline(always)]
    fn tell(&self, range: &Range<u32>, how: fn(*mut u8, usize)) {
        if cfg!(any(feature = "asan", feature = "valgrind"))
            && let Some(address) = self.at(range.start, (range.end - range.start) as usize)
        {
            how(address, (range.end - range.start) as usize);
        }
    }

    /// Panics if a word of `range` was written after it had been freed.
    #[cfg(feature = "checked")]
    fn still_poisoned(&self, range: &Range<u32>) {
        if !self.shadow.is_on() {
            return;
        }
        for at in self.shadow.poisoned(range.clone()) {
            let word = self.word(at);
            if word != Some(crate::header::POISON_WORD) {
                panic!("checked memory: free space was written to: {at:#x} holds {word:x?}");
            }
        }
    }
}
