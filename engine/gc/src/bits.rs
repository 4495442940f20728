//! Sets of object starts, for walks that must not trust the heap.

use crate::header::OBJECT_ALIGN;
use crate::heap::HeapCore;

/// A bit for each possible start of an object in a heap's regions.
pub(crate) struct Bits {
    /// Start, end, words; ascending.
    parts: Vec<(u32, u32, Vec<u64>)>,
}

impl Bits {
    /// All clear, for the regions that `core` has now.
    pub(crate) fn new(core: &HeapCore) -> Bits {
        let part = |start: u32, end: u32| {
            let slots = ((end - start) / OBJECT_ALIGN) as usize;
            (start, end, vec![0; slots.div_ceil(64)])
        };
        let regions = core.regions().filter(|region| region.start < region.end);
        Bits { parts: regions.map(|region| part(region.start, region.end)).collect() }
    }

    fn place(&self, at: u32) -> Option<(usize, usize, u64)> {
        let part = self.parts.iter().position(|part| part.0 <= at && at < part.1)?;
        let slot = ((at - self.parts[part].0) / OBJECT_ALIGN) as usize;
        at.is_multiple_of(OBJECT_ALIGN).then_some((part, slot / 64, 1 << (slot % 64)))
    }

    /// Whether the bit of heap offset `at` is set; `false` for what cannot start an object.
    pub(crate) fn contains(&self, at: u32) -> bool {
        self.place(at).is_some_and(|(part, word, bit)| self.parts[part].2[word] & bit != 0)
    }

    /// Sets the bit of a possible start; whether it was clear. Nothing happens elsewhere.
    pub(crate) fn insert(&mut self, at: u32) -> bool {
        let Some((part, word, bit)) = self.place(at) else { return false };
        let word = &mut self.parts[part].2[word];
        let clear = *word & bit == 0;
        *word |= bit;
        clear
    }
}
