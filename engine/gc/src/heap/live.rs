//! Counts what is reachable, without moving it: one half of the liveness oracle (DESIGN, section 4.7); the other is
//! what a collector has retained ([`Heap::retained`]).
//!
//! Invariant: terminates on any heap. Objects are those that a walk finds; a reference to anything else is passed over
//! (the verifier reports it), and each object is followed once.

use super::walk::walk;
use super::{Heap, measure};
use crate::bits::Bits;
use crate::space::trace::each_reference;
use crate::{GcRef, RootPhase, RootSet};

impl Heap {
    /// Every object reachable from `roots`: (objects, bytes). Iterative; does not move anything.
    pub fn live(&mut self, roots: &mut dyn RootSet) -> (u64, u64) {
        let mut starts = Bits::new(&self.core);
        let mut reached = Bits::new(&self.core);
        // A corrupt heap counts as far as it can be walked.
        let walked = walk(&self.core, &*self.collector, &mut |at, _, _| {
            starts.insert(at);
        });
        walked.unwrap_or(());
        let mut pending = Vec::new();
        let mut reach = |reference: GcRef, pending: &mut Vec<u32>| {
            if starts.contains(reference.0) && reached.insert(reference.0) {
                pending.push(reference.0);
            }
        };
        for phase in [RootPhase::State, RootPhase::Frames] {
            roots.visit(phase, &mut |_, slot| reach(*slot, &mut pending));
        }
        let mut counted = (0, 0);
        while let Some(at) = pending.pop() {
            let Some(view) = self.core.view_at(at) else { continue };
            let Ok((id, size)) = measure(&view, &self.core.layouts, at) else { continue };
            counted = (counted.0 + 1, counted.1 + u64::from(size));
            let followed = each_reference(&view, &self.core.layouts, at, id, |_, word| {
                reach(word, &mut pending);
                Ok(())
            });
            followed.unwrap_or(());
        }
        counted
    }
}
