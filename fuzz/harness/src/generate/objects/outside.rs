//! References to functions and to external values, and calls by every kind of call instruction.

use wasm_encoder::{AbstractHeapType as Abstract, HeapType, RefType};

use super::Generator;
use super::program::FUNCTIONS;
use super::types::{ANYREF, FUNCREF, heap};

impl Generator<'_, '_> {
    /// Calls a function of the table: directly, through the table or through a reference.
    pub(super) fn call_somehow(&mut self, function: u32) {
        let ty = self.p.function(function).ty;
        let slot = self.p.table_functions.iter().position(|known| *known == function);
        match (slot, self.c.below(3)) {
            (Some(slot), 0) => {
                self.f.by_slot.push(function);
                self.known(slot as i32);
                self.f.op().call_indirect(FUNCTIONS, ty);
            }
            (Some(slot), 1) => {
                self.function_value(function, slot);
                self.f.op().call_ref(ty);
            }
            _ => {
                self.f.op().call(function);
            }
        }
        let cost = self.p.function(function).cost;
        self.f.spend(cost);
    }

    /// A reference to a function.
    pub(super) fn function_reference(&mut self, want: RefType, depth: usize) {
        let slots = self.p.table_functions.len();
        if want.heap_type == heap(Abstract::NoFunc) {
            return self.null(want);
        }
        if want.heap_type == heap(Abstract::Func) || self.p.callbacks.is_empty() {
            match self.c.below(3) {
                0 if slots > 0 && want.nullable => {
                    let slot = self.c.below(slots + 2) as i32;
                    self.f.op().i32_const(slot);
                    self.f.op().table_get(FUNCTIONS);
                }
                1 => {
                    let callback = HeapType::Concrete(self.p.types.callback);
                    self.reference(RefType { heap_type: callback, ..want }, depth - 1);
                }
                _ => self.leaf(want),
            }
        } else if self.c.chance(1, 2) {
            let callback = self.c.pick(&self.p.callbacks);
            self.f.op().ref_func(callback);
        } else {
            self.converted(FUNCREF, want, |g| g.reference(FUNCREF, depth - 1));
        }
    }

    /// A reference of the external hierarchy.
    pub(super) fn extern_reference(&mut self, want: RefType, depth: usize) {
        if want.heap_type == heap(Abstract::NoExtern) {
            return self.null(want);
        }
        if let (Some((local, have)), true) = (self.related_local(want, false), self.c.chance(1, 3)) {
            return self.converted(have, want, |g| {
                g.f.op().local_get(local);
            });
        }
        if self.c.chance(1, 4) {
            return self.leaf(want);
        }
        self.reference(RefType { nullable: want.nullable, ..ANYREF }, depth - 1);
        self.f.op().extern_convert_any();
    }
}
