//! The collector's own invariants, against what the verifier found.

use super::Spaces;
use crate::Error;
use crate::cards::Cards;
use crate::heap::HeapCore;
use crate::mutator::CARD_BYTES;
use crate::verify::{Facts, broken};

impl Spaces {
    /// Checks the invariants that the module's documentation names.
    ///
    /// # Errors
    /// `Verify`.
    pub(super) fn check(&self, core: &HeapCore, facts: &Facts<'_>) -> Result<(), Error> {
        let nursery = core.used();
        let aged = self.nursery.aged;
        if !(nursery.start..=nursery.end).contains(&aged) || (aged < nursery.end && !facts.is_object(aged)) {
            return broken(aged, "the boundary of age lies between no two objects of the nursery");
        }
        let used = u64::from(nursery.end - nursery.start) + self.tenured();
        if used > core.max_bytes() || u64::from(self.nursery.limit() - nursery.end) > core.max_bytes() - used
        {
            return broken(nursery.end, "the window reaches beyond the heap's limit");
        }
        if let Some((at, _)) = self.large.iter().find(|(_, object)| object.marked) {
            return broken(at, "a mark outside a collection");
        }
        self.large.check()?;
        let Some(cards) = core.cards() else { return broken(0, "no cards") };
        for &at in facts.objects() {
            let in_nursery = nursery.contains(&at);
            let remembered = !in_nursery && !self.large.get(at).is_some_and(|object| object.young);
            facts.each_reference(at, &mut |slot, word| {
                if !word.is_object() {
                    return Ok(());
                }
                // Of what is reachable the verifier says more.
                if !facts.is_object(word.0) {
                    return broken(slot, "a slot of a dead object that refers to no object");
                }
                let young =
                    nursery.contains(&word.0) || self.large.get(word.0).is_some_and(|object| object.young);
                if remembered && young && !cards.is_dirty(Cards::of(slot)) {
                    return broken(slot, "a reference to a young object in a clean card");
                }
                Ok(())
            })?;
        }
        self.check_crossing(facts)
    }

    /// Checks the crossing map against a walk.
    fn check_crossing(&self, facts: &Facts<'_>) -> Result<(), Error> {
        let old = self.old.range();
        let mut card = old.start;
        let mut objects = facts.objects().iter().copied().filter(|at| old.contains(at)).peekable();
        while let Some(at) = objects.next() {
            let end = objects.peek().copied().unwrap_or(old.end);
            while card < end {
                if self.old.crossing.covering(card) != Some(at) {
                    return broken(card, "the crossing map names another object");
                }
                card += CARD_BYTES;
            }
        }
        match self.old.crossing.covering(card) {
            None => Ok(()),
            Some(_) => broken(card, "the crossing map goes on behind the old space"),
        }
    }
}
