//! Counts what is reachable, without moving it: the measure behind the liveness oracle (DESIGN, section 4.7).
//!
//! Invariant: terminates on any heap. Objects are those that a linear walk finds; a reference to anything else is passed
//! over (the verifier reports it), and each object is followed once.

use super::{Heap, measure};
use crate::bits::Bits;
use crate::header::ARRAY_LENGTH;
use crate::layout::{Layout, Slot};
use crate::types::TypeId;
use crate::{GcRef, RootPhase, RootSet};

impl Heap {
    /// Every object reachable from `roots`: (objects, bytes). Iterative; does not move anything.
    pub fn live(&mut self, roots: &mut dyn RootSet) -> (u64, u64) {
        let Some(view) = self.core.view() else { return (0, 0) };
        let used = self.core.used();
        let mut starts = Bits::new(used.end - used.start);
        let mut reached = Bits::new(used.end - used.start);
        // A corrupt heap counts as far as it can be walked.
        let walked = self.core.walk(|at, _, _| {
            starts.insert(at - used.start);
        });
        walked.unwrap_or(());
        let mut pending = Vec::new();
        let mut reach = |reference: GcRef, pending: &mut Vec<u32>| {
            let at = reference.0.wrapping_sub(used.start);
            if starts.contains(at) && reached.insert(at) {
                pending.push(reference.0);
            }
        };
        for phase in [RootPhase::State, RootPhase::Frames] {
            roots.visit(phase, &mut |_, slot| reach(*slot, &mut pending));
        }
        let mut counted = (0, 0);
        while let Some(at) = pending.pop() {
            let Ok((id, size)) = measure(&view, &self.core.layouts, at) else { continue };
            counted = (counted.0 + 1, counted.1 + u64::from(size));
            self.references(at, id, &mut |reference| reach(reference, &mut pending));
        }
        counted
    }

    /// Calls `f` with each traced field of a well-formed object.
    fn references(&self, at: u32, id: TypeId, f: &mut dyn FnMut(GcRef)) {
        let Some(view) = self.core.view() else { return };
        let mut slot = |offset: u32| f(GcRef(view.read_u32(at + offset).unwrap_or(0)));
        match self.core.layouts.get(id) {
            Some(Layout::Struct(layout)) => layout.ref_offsets.iter().for_each(|&offset| slot(offset)),
            Some(Layout::Array(layout)) if layout.element == Slot::Ref => {
                let len = view.read_u32(at + ARRAY_LENGTH).unwrap_or(0);
                (0..len).for_each(|element| slot(layout.base + element * 4));
            }
            _ => {}
        }
    }
}
