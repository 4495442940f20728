//! The heap's own stores of references, with the barrier that the collector declares: the counterpart of what
//! generated code does inline.

use super::Heap;
use crate::collector::BarrierShape;
use crate::header::GC_WORD;
use crate::memory::View;
use crate::{COUNT_LOGGED, COUNT_ONE, GcRef};

impl Heap {
    /// Whether stores into globals and tables must be told: [`Heap::root_gained`] for each new word, then
    /// [`Heap::root_lost`] for each old one.
    pub fn has_root_barrier(&self) -> bool {
        self.constraints().code.barrier_on_roots
    }

    /// A global or table slot is about to hold `word`.
    pub fn root_gained(&mut self, word: GcRef) {
        if self.has_root_barrier() {
            self.referent_gained(word);
        }
    }

    /// A global or table slot that held `word` has been told to hold another.
    pub fn root_lost(&mut self, word: GcRef) {
        if self.has_root_barrier() {
            self.referent_lost(word);
        }
    }

    /// Both, for a single slot.
    pub fn root_slot_written(&mut self, old: GcRef, new: GcRef) {
        self.root_gained(new);
        self.root_lost(old);
    }

    /// Stores `value` in the traced slot at heap offset `at`.
    pub(super) fn store_reference(&mut self, at: u32, value: GcRef) -> Option<()> {
        let old = GcRef(self.core.runtime_view_at(at)?.read_u32(at)?);
        self.before_stores(at, &[old], &[value]);
        self.core.runtime_view_at(at)?.write_u32(at, value.0)
    }

    /// The barrier of stores of `new` over `old`, slot by slot from heap offset `at` on; the slots still hold `old`.
    pub(super) fn before_stores(&mut self, at: u32, old: &[GcRef], new: &[GcRef]) {
        match self.constraints().code.write_barrier {
            BarrierShape::None => {}
            BarrierShape::Card => self.mark_cards(at, 4 * new.len() as u32),
            // First all gains, so that no count is 0 in between.
            BarrierShape::Count => {
                new.iter().for_each(|&word| self.referent_gained(word));
                old.iter().for_each(|&word| self.referent_lost(word));
            }
            BarrierShape::Snapshot => old.iter().for_each(|&word| self.referent_overwritten(word)),
        }
    }

    /// Marks the cards of `bytes` from heap offset `at` on.
    pub(super) fn mark_cards(&self, at: u32, bytes: u32) {
        if let Some(cards) = self.core.cards() {
            cards.mark(at..at.saturating_add(bytes));
        }
    }

    fn collector_word(&self, object: GcRef) -> Option<u32> {
        self.core.runtime_view_at(object.0)?.read_u32(object.0.checked_add(GC_WORD)?)
    }

    /// Adds to the count of a referent; a reference out of the heap has none.
    fn referent_gained(&mut self, word: GcRef) {
        if word.is_object()
            && let Some(count) = self.collector_word(word)
            && let Some(view) = self.core.runtime_view_at(word.0)
        {
            view.write_u32(word.0 + GC_WORD, count.wrapping_add(COUNT_ONE));
        }
    }

    fn referent_lost(&mut self, word: GcRef) {
        if word.is_object()
            && let Some(count) = self.collector_word(word)
            && let Some(view) = self.core.runtime_view_at(word.0)
        {
            let left = count.wrapping_sub(COUNT_ONE);
            view.write_u32(word.0 + GC_WORD, left);
            if left == 0
                && self.core.log(word)
                && let Some(view) = self.core.runtime_view_at(word.0)
            {
                view.write_u32(word.0 + GC_WORD, COUNT_LOGGED);
            }
        }
    }

    /// While marking, marks and logs a referent that is not marked; without room in the log it stays as it is.
    fn referent_overwritten(&mut self, word: GcRef) {
        let (marking, colour) = self.core.marking();
        if marking
            && word.is_object()
            && self.collector_word(word).is_some_and(|found| found != colour)
            && self.core.log(word)
            && let Some(view) = self.core.runtime_view_at(word.0)
        {
            view.write_u32(word.0 + GC_WORD, self.core.fresh());
        }
    }
}

/// The words of `count` slots from `at` on.
pub(super) fn words(view: &View<'_>, at: u32, count: u32) -> Option<Vec<GcRef>> {
    let mut bytes = vec![0; count as usize * 4];
    view.read_bytes(at, &mut bytes)?;
    let words = bytes.as_chunks().0.iter();
    Some(words.map(|&word| GcRef(u32::from_ne_bytes(word))).collect())
}
