//! The invariants of a cycle, against what the verifier found by itself.
//!
//! 1. The mutator gives the live colour to fresh objects, and runs the barrier while a cycle is under way only; what passes
//!    the barrier unlogged has the live colour, or nothing does. Otherwise nothing is grey and nothing is logged.
//! 2. Every collector's word is a colour: the live or the white one while a cycle is under way, the live one when all
//!    is swept. Between cycles, what is reachable is live.
//! 3. Grey objects, the logged ones among them, are objects of the live colour, and each is grey in one place: it was put
//!    there when it got the colour. (Where nothing passes the barrier unlogged, black ones are logged, and again.)
//! 4. The weak tri-colour invariant (Pirinen 1998) while a cycle is under way: what is reachable is live, or can be
//!    reached from a grey object or a word of the frames' snapshot through white objects alone. A log that has lost
//!    words promises nothing; the cycle will be given up.
//! 5. The free lists hold free cells of their class, and large objects and free stretches divide their space.

use super::cycle::{COLOURS, Cycles, NO_COLOUR};
use crate::Error;
use crate::bits::Bits;
use crate::heap::HeapCore;
use crate::verify::{Facts, broken};

impl Cycles {
    /// Checks them.
    ///
    /// # Errors
    /// `Verify`.
    pub(super) fn check(&self, core: &HeapCore, facts: &Facts<'_>) -> Result<(), Error> {
        let passes = self.told == self.live || (self.active && self.told == NO_COLOUR);
        if core.fresh() != self.live || core.marking() != (self.active, self.told) || !passes {
            return broken(0, "the mutator has not the collector's colour or phase");
        }
        if !self.active && (!self.marking.is_done() || core.log_fill().0 != 0 || core.log_overflowed()) {
            return broken(0, "marking is left over between cycles");
        }
        self.check_colours(facts)?;
        let grey = self.grey(core, facts)?;
        if self.active && !core.log_overflowed() {
            self.check_grey_protects_white(core, facts, grey)?;
        }
        self.cells.check(core)
    }

    fn check_colours(&self, facts: &Facts<'_>) -> Result<(), Error> {
        let sweeping = self.cells.blocks.is_sweeping();
        if self.active && sweeping {
            return broken(0, "an unswept block while a cycle is under way");
        }
        for &at in facts.objects() {
            let word = facts.gc_word(at);
            let possible = match (self.active, sweeping) {
                (true, _) => word == self.live || word == self.white,
                (false, true) => COLOURS.contains(&word),
                (false, false) => word == self.live,
            };
            if !possible {
                return broken(at, &format!("the collector's word {word:#x} is no colour of this phase"));
            }
            if !self.active && word != self.live && facts.is_reached(at) {
                return broken(at, "reachable, but given to the sweep");
            }
        }
        Ok(())
    }

    /// The grey objects, with the slot from which on they are not scanned.
    fn grey(&self, core: &HeapCore, facts: &Facts<'_>) -> Result<Vec<(u32, u32)>, Error> {
        let logged = core.log_words().into_iter().map(|word| (word, 0));
        let grey: Vec<(u32, u32)> = self.marking.grey().chain(logged).collect();
        let mut found = Bits::new(core);
        for &(at, _) in &grey {
            if !facts.is_object(at) || facts.gc_word(at) != self.live {
                return broken(at, "a grey object that is no object, or white");
            }
            if !found.insert(at) && self.told == self.live {
                return broken(at, "grey twice");
            }
        }
        Ok(grey)
    }

    fn check_grey_protects_white(
        &self,
        core: &HeapCore,
        facts: &Facts<'_>,
        grey: Vec<(u32, u32)>,
    ) -> Result<(), Error> {
        let is_white = |at: u32| facts.is_object(at) && facts.gc_word(at) != self.live;
        let mut protected = Bits::new(core);
        let mut pending = grey;
        for &word in self.marking.frame_words() {
            if is_white(word) && protected.insert(word) {
                pending.push((word, 0));
            }
        }
        while let Some((at, from)) = pending.pop() {
            facts.each_reference(at, &mut |slot, word| {
                if slot >= from && word.is_object() && is_white(word.0) && protected.insert(word.0) {
                    pending.push((word.0, 0));
                }
                Ok(())
            })?;
        }
        let lost = |&&at: &&u32| is_white(at) && facts.is_reached(at) && !protected.contains(at);
        match facts.objects().iter().find(lost) {
            Some(&at) => broken(at, "reachable and white, but hidden from every grey object"),
            None => Ok(()),
        }
    }
}
