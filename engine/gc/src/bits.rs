//! A set of object starts, as offsets from the start of the used space, for walks that must not trust the heap.

use crate::header::OBJECT_ALIGN;

/// A bit for each possible start of an object in the used space.
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// All clear, for `bytes` of heap.
    pub(crate) fn new(bytes: u32) -> Bits {
        let slots = (bytes / OBJECT_ALIGN) as usize;
        Bits { words: vec![0; slots.div_ceil(64)] }
    }

    fn place(at: u32) -> (usize, u64) {
        let slot = (at / OBJECT_ALIGN) as usize;
        (slot / 64, 1 << (slot % 64))
    }

    /// Whether the bit of offset `at` is set; `false` for what cannot start an object.
    pub(crate) fn contains(&self, at: u32) -> bool {
        let (word, bit) = Bits::place(at);
        at.is_multiple_of(OBJECT_ALIGN) && self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Sets the bit of a possible start; whether it was clear.
    pub(crate) fn insert(&mut self, at: u32) -> bool {
        let (word, bit) = Bits::place(at);
        let clear = self.words[word] & bit == 0;
        self.words[word] |= bit;
        clear
    }
}
