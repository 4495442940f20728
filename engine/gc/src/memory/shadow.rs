//! The shadow of a heap: what each word is, and who may do what with it. With feature `checked` every access through
//! a [`View`](super::View) is held against this table, and one that is not in it panics.
//!
//! | word is | collector reads | collector writes | runtime reads | runtime writes |
//! |---|---|---|---|---|
//! | unclaimed: never handed out, or given back to the operating system | | | | |
//! | free | | | | |
//! | header of a free cell | yes | yes | | |
//! | header of a cell that the mutator may take | yes | | yes | |
//! | open: without an object, for the mutator or for copies | | copies of objects | | |
//! | type | yes | once moved | yes | yes |
//! | collector's word | yes | yes | yes | yes |
//! | array length | yes, unless moved | | yes | yes |
//! | reference | yes, unless moved | yes, unless moved | yes | yes |
//! | data, padding too | | | yes | yes |
//!
//! - *Collectors*, the verifier with them, read and write single aligned words. Besides they copy: exactly one object
//!   that is initialised and has not moved, either into open space, after which it is *moved* (its two header words are
//!   left to the collector, the others to nobody), or within its own space over open words and dead or moved objects
//!   (sliding), after which the words that it has left are open.
//! - *The runtime*, generated code's model in the tests with it, reads and writes any bytes of objects that have not
//!   moved. It is not held to types.
//! - A word of a fresh object is *uninitialised* until the runtime writes it, and nobody reads it before.
//! - A *poisoned* word was filled with poison when it was freed; it must hold poison still when it is claimed again.
//!
//! How words change, in [`watch`](super::watch); anything else panics too:
//!
//! | event | from | to |
//! |---|---|---|
//! | claimed | unclaimed, free, open | open |
//! | withdrawn | open (unclaimed and free stay) | free |
//! | freed | words of objects, open | free |
//! | a cell is freed | words of one object, open | header of a free cell, free |
//! | a cell is carved | unclaimed, free | header of a free cell; the rest stays |
//! | a cell is listed | header of a free cell, unclaimed, free | header of a cell to take, open |
//! | a list is taken back | header of a cell to take, open | header of a free cell, free |
//! | cells are dissolved | headers of free cells, unclaimed, free | free |
//! | pages are discarded | unclaimed, free, open | unclaimed |
//! | an object is made | open, header of a cell to take | its layout, uninitialised |
//!
//! Invariant: the shadow follows these events whether checks are on or off, so that they can be switched off for a heap
//! whose words are damaged on purpose.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use crate::header::{ARRAY_LENGTH, GC_WORD, HEADER_SIZE, TYPE_WORD};
use crate::layout::{Layout, Slot};

/// Bytes of a heap word.
const WORD: u32 = 4;
/// Heap words that a chunk is for; log2.
const CHUNK_SHIFT: u32 = 20;
const CHUNK: usize = 1 << CHUNK_SHIFT;

/// Who accesses the heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    /// A collector, or the verifier.
    Collector,
    /// The runtime, or what stands for generated code.
    Runtime,
}

/// What is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    Read,
    Write,
}

/// What a word is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum State {
    Unclaimed,
    Free,
    FreeCell,
    ListedCell,
    Open,
    Type,
    GcWord,
    Length,
    Ref,
    Data,
}

const STATES: [State; 10] = [
    State::Unclaimed,
    State::Free,
    State::FreeCell,
    State::ListedCell,
    State::Open,
    State::Type,
    State::GcWord,
    State::Length,
    State::Ref,
    State::Data,
];

/// Flags above the state.
const UNINITIALISED: u8 = 0x10;
const POISONED: u8 = 0x20;
const MOVED: u8 = 0x40;

/// A word's state and flags.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u8);

impl Word {
    fn of(state: State) -> Word {
        Word(state as u8)
    }

    fn with(self, flag: u8, on: bool) -> Word {
        Word(if on { self.0 | flag } else { self.0 & !flag })
    }

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn state(self) -> State {
        STATES.get(usize::from(self.0 & 0xf)).copied().unwrap_or(State::Unclaimed)
    }

    fn is(self, states: &[State]) -> bool {
        states.contains(&self.state())
    }

    fn of_object(self) -> bool {
        use State::{Data, GcWord, Length, Ref, Type};
        self.is(&[Type, GcWord, Length, Ref, Data])
    }

    fn allows(self, by: By, access: Access) -> bool {
        use State::{FreeCell, GcWord, Length, ListedCell, Ref, Type};
        let moved = self.has(MOVED);
        match (by, access) {
            (By::Collector, Access::Read) => {
                let header = self.is(&[FreeCell, ListedCell, Type, GcWord]);
                !self.has(UNINITIALISED) && (header || self.is(&[Length, Ref]) && !moved)
            }
            (By::Collector, Access::Write) => {
                let of_a_header = self.is(&[FreeCell, GcWord]) || self.is(&[Type]) && moved;
                !self.has(UNINITIALISED) && (of_a_header || self.is(&[Ref]) && !moved)
            }
            (By::Runtime, Access::Read) => {
                !self.has(UNINITIALISED) && (self.is(&[ListedCell]) || self.of_object() && !moved)
            }
            (By::Runtime, Access::Write) => self.of_object() && !moved,
        }
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.state())?;
        for (flag, name) in [(UNINITIALISED, "uninitialised"), (POISONED, "poisoned"), (MOVED, "moved")] {
            if self.has(flag) {
                write!(f, ", {name}")?;
            }
        }
        Ok(())
    }
}

/// How the words of a range change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    Claimed,
    Withdrawn,
    Freed { poisoned: bool },
    CellHeaderFreed,
    CellHeaderCarved,
    CellHeaderListed,
    CellHeaderTakenBack,
    CellsDissolved { poisoned: bool },
    Discarded,
}

impl Event {
    /// What `word` becomes, and whether it may.
    fn turns(self, word: Word) -> (Word, bool) {
        use State::{Free, FreeCell, GcWord, ListedCell, Open, Type, Unclaimed};
        let to = Word::of;
        let without_owner = word.is(&[Unclaimed, Free]);
        match self {
            Event::Claimed => (to(Open), without_owner || word.is(&[Open])),
            Event::Withdrawn if without_owner => (word, true),
            Event::Withdrawn => (to(Free), word.is(&[Open])),
            Event::Freed { poisoned } => {
                (to(Free).with(POISONED, poisoned), word.of_object() || word.is(&[Open]))
            }
            Event::CellHeaderFreed => (to(FreeCell), word.is(&[Type, GcWord])),
            Event::CellHeaderCarved => (to(FreeCell), without_owner),
            Event::CellHeaderListed => (to(ListedCell), word.is(&[FreeCell])),
            Event::CellHeaderTakenBack => (to(FreeCell), word.is(&[ListedCell])),
            Event::CellsDissolved { .. } if without_owner => (word, true),
            Event::CellsDissolved { poisoned } => (to(Free).with(POISONED, poisoned), word.is(&[FreeCell])),
            Event::Discarded => (to(Unclaimed), without_owner || word.is(&[Open])),
        }
    }
}

/// The shadow of one reservation; a byte a word, made where it is needed.
pub(super) struct Shadow {
    on: Cell<bool>,
    /// Empty where nothing was claimed yet.
    chunks: RefCell<Vec<Vec<u8>>>,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow").field("on", &self.on).finish_non_exhaustive()
    }
}

impl Shadow {
    /// All is unclaimed; checks are off.
    pub(super) fn new() -> Shadow {
        Shadow { on: Cell::new(false), chunks: RefCell::default() }
    }

    /// Turns checks on or off.
    pub(super) fn set_on(&self, on: bool) {
        self.on.set(on);
    }

    /// Whether checks are on.
    pub(super) fn is_on(&self) -> bool {
        self.on.get()
    }

    /// Checks an access to single bytes.
    pub(super) fn access(&self, by: By, access: Access, offset: u32, len: usize) {
        if !self.is_on() {
            return;
        }
        if by == By::Collector && !(len == WORD as usize && offset.is_multiple_of(WORD)) {
            panic!(
                "checked memory: {by:?} tries to {access:?} {len} bytes at {offset:#x}, which is no single word"
            );
        }
        if len == 0 {
            return;
        }
        let end = offset as u64 + len as u64;
        self.each(offset..end.min(u64::from(u32::MAX)) as u32, |at, cell| {
            let word = Word(*cell);
            if !word.allows(by, access) {
                panic!("checked memory: {by:?} tries to {access:?} {len} bytes at {offset:#x}: {at:#x} is {word:?}");
            }
            if access == Access::Write {
                *cell = word.with(UNINITIALISED, false).0;
            }
        });
    }

    /// Checks a collector's copy of an object, and moves its states.
    pub(super) fn copy_object(&self, to: u32, from: u32, len: u32, same_space: bool) {
        let mut words = Vec::with_capacity((len / WORD) as usize);
        self.each(from..from + len, |_, cell| words.push(Word(*cell)));
        if self.is_on() {
            self.check_whole_object(from, len, &words);
        }
        let slides = same_space && to != from;
        self.each(to..to + len, |at, cell| {
            let word = Word(*cell);
            let may = word.is(&[State::Open]) || slides && word.of_object();
            if self.is_on() && !may {
                panic!(
                    "checked memory: an object is copied from {from:#x} to {to:#x}, but {at:#x} is {word:?}"
                );
            }
        });
        self.each(from..from + len, |_, cell| {
            let left = if slides { Word::of(State::Open) } else { Word(*cell).with(MOVED, true) };
            *cell = left.0;
        });
        let mut words = words.into_iter();
        self.each(to..to + len, |_, cell| *cell = words.next().unwrap_or(Word(0)).0);
    }

    fn check_whole_object(&self, at: u32, len: u32, words: &[Word]) {
        let refuse = |why: &str| panic!("checked memory: copy of {len} bytes at {at:#x}: {why}: {words:?}");
        if !at.is_multiple_of(WORD) || words.first().is_none_or(|word| !word.is(&[State::Type])) {
            refuse("no object starts there");
        }
        let body = words.get(1..).unwrap_or(&[]);
        if body.iter().any(|word| !word.of_object() || word.is(&[State::Type])) {
            refuse("more than an object");
        }
        if words.iter().any(|word| word.has(MOVED)) {
            refuse("it has moved");
        }
        if words.iter().any(|word| word.has(UNINITIALISED)) {
            refuse("it is not initialised");
        }
        self.each(at + len..(at + len).saturating_add(WORD), |_, cell| {
            let next = Word(*cell);
            if next.of_object() && !next.is(&[State::Type]) {
                refuse("less than an object");
            }
        });
    }

    /// Makes the words of `range` what `event` says.
    pub(super) fn change(&self, range: Range<u32>, event: Event) {
        let on = self.is_on();
        self.each(range.clone(), |at, cell| {
            let (word, may) = event.turns(Word(*cell));
            if on && !may {
                let was = Word(*cell);
                panic!("checked memory: {event:?} {range:#x?}, but {at:#x} is {was:?}");
            }
            *cell = word.0;
        });
    }

    /// The words of `range` that were filled with poison.
    pub(super) fn poisoned(&self, range: Range<u32>) -> Vec<u32> {
        let mut found = Vec::new();
        self.each(range, |at, cell| found.extend(Word(*cell).has(POISONED).then_some(at)));
        found
    }

    /// A fresh object of `size` bytes and this layout lies at `at`; an array has `len` elements.
    pub(super) fn made(&self, at: u32, size: u32, layout: &Layout, len: u32) {
        let on = self.is_on();
        self.each(at..at.saturating_add(size), |word_at, cell| {
            let word = Word(*cell);
            if on && !word.is(&[State::Open, State::ListedCell]) {
                panic!("checked memory: an object of {size} bytes is made at {at:#x}, but {word_at:#x} is {word:?}");
            }
            let state = match word_at - at {
                TYPE_WORD => State::Type,
                GC_WORD => State::GcWord,
                ARRAY_LENGTH if matches!(layout, Layout::Array(_)) => State::Length,
                _ => State::Data,
            };
            *cell = Word::of(state).with(UNINITIALISED, true).0;
        });
        let reference = |offset: u32| {
            self.each(at + offset..at + offset + WORD, |_, cell| {
                *cell = Word::of(State::Ref).with(UNINITIALISED, true).0;
            });
        };
        match layout {
            Layout::Struct(layout) => layout.ref_offsets.iter().for_each(|&offset| reference(offset)),
            Layout::Array(layout) if layout.element == Slot::Ref => {
                (0..len.min(size / WORD)).for_each(|element| reference(layout.base + element * WORD));
            }
            Layout::Array(_) | Layout::Host => {}
        }
    }

    /// Calls `f` with each word of `range`, a part of it too.
    fn each(&self, range: Range<u32>, mut f: impl FnMut(u32, &mut u8)) {
        let mut chunks = self.chunks.borrow_mut();
        let end = range.end.div_ceil(WORD) as usize;
        let mut word = (range.start / WORD) as usize;
        while word < end {
            let number = word >> CHUNK_SHIFT;
            if chunks.len() <= number {
                chunks.resize_with(number + 1, Vec::new);
            }
            let chunk = &mut chunks[number];
            if chunk.is_empty() {
                *chunk = vec![State::Unclaimed as u8; CHUNK];
            }
            let stop = end.min((number + 1) * CHUNK);
            for cell in &mut chunk[word % CHUNK..=(stop - 1) % CHUNK] {
                f(word as u32 * WORD, cell);
                word += 1;
            }
        }
    }
}

const _: () = assert!(HEADER_SIZE == 2 * WORD);

#[cfg(test)]
mod tests;
