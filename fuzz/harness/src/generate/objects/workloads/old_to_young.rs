//! Old objects that receive young ones: after a store the old object alone holds them, across further allocation.

use wasm_encoder::{HeapType, ValType};

use super::Old;
use crate::generate::objects::Generator;

/// Where a young object goes.
#[derive(Clone, Copy)]
enum Sink {
    Next,
    Payload,
    Set,
    Fill,
    Copy,
    CopyMany,
    InitElem,
    Fixed,
}

const SINKS: &[Sink] = &[
    Sink::Next,
    Sink::Payload,
    Sink::Set,
    Sink::Set,
    Sink::Fill,
    Sink::Copy,
    Sink::CopyMany,
    Sink::InitElem,
    Sink::Fixed,
];

impl Generator<'_, '_> {
    pub(super) fn old_to_young(&mut self, scale: usize) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        let payload = self.payload();
        let old = self.old();
        let young = self.scratch_ref(node);
        let count = self.c.range(2, 3);
        let sinks = self.several(SINKS, count);
        let rounds = self.c.range(5, 14) * scale;
        self.rounds(rounds, |g, counter| {
            for sink in sinks {
                // Two of them, one behind the other.
                g.node(None, Some(counter), None);
                g.f.op().local_set(young);
                g.node(Some(young), Some(counter), None);
                g.f.op().local_set(young);
                g.give(sink, old, young, counter);
                // From here on the old object alone holds it.
                g.f.op().ref_null(HeapType::Concrete(node)).local_set(young);
            }
            g.garbage();
            g.pace(counter, rounds);
            g.f.op().local_get(old.owner).struct_get(node, next);
            g.peek();
            g.f.op().local_get(old.owner).struct_get(node, payload);
            g.peek();
            g.f.op().local_get(old.shelf);
            g.spread(counter, 0, old.len);
            g.f.op().array_get(any_array);
            g.peek();
        });
        self.f.op().local_get(old.shelf);
        self.consume(ValType::Ref(super::nullable(HeapType::Concrete(any_array))));
        self.fold();
    }

    /// Stores the young object into an old one.
    fn give(&mut self, sink: Sink, old: Old, young: u32, counter: u32) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        let count = self.c.range(1, old.len as usize - 1) as u32;
        let offset = (1 + self.c.below((old.len - count) as usize)) as i32;
        match sink {
            Sink::Next => {
                self.f.op().local_get(old.owner).local_get(young).struct_set(node, next);
            }
            Sink::Payload => {
                let payload = self.payload();
                self.f.op().local_get(old.owner).local_get(young).i32_const(3).array_new(any_array);
                self.f.op().struct_set(node, payload);
            }
            Sink::Set => {
                self.f.op().local_get(old.shelf);
                self.spread(counter, 1, old.len);
                self.f.op().local_get(young).array_set(any_array);
            }
            Sink::Fill => {
                self.f.op().local_get(old.shelf).i32_const(offset).local_get(young);
                self.f.op().i32_const(count as i32).array_fill(any_array);
            }
            // From an array that dies at once; nodes also from an array of nodes.
            Sink::Copy => {
                let source = if self.c.chance(1, 2) { any_array } else { self.p.types.node_array };
                self.f.op().local_get(old.shelf).i32_const(offset);
                self.f.op().local_get(young).i32_const(count as i32).array_new(source);
                self.f.op().i32_const(0).i32_const(count as i32).array_copy(any_array, source);
            }
            // Each element another object.
            Sink::CopyMany => {
                let count = count.min(8);
                let source = self.scratch_ref(any_array);
                self.f.op().i32_const(count as i32).array_new_default(any_array).local_set(source);
                self.rounds(count as usize, |g, inner| {
                    g.f.op().local_get(source).local_get(inner).i32_const(1).i32_sub();
                    g.node(None, Some(inner), None);
                    g.f.op().array_set(any_array);
                });
                self.f.op().local_get(old.shelf).i32_const(offset);
                self.f.op().local_get(source).i32_const(0).i32_const(count as i32);
                self.f.op().array_copy(any_array, any_array);
                self.f.op().ref_null(HeapType::Concrete(any_array)).local_set(source);
            }
            // The segment's objects may be younger than the array.
            Sink::InitElem => {
                let segment = self.c.pick(&self.p.lasting_elements);
                let items = self.p.elements[segment as usize].len();
                let count = count.min(items);
                let from = self.c.below((items - count) as usize + 1) as i32;
                self.f.op().local_get(old.shelf).i32_const(offset).i32_const(from);
                self.f.op().i32_const(count as i32).array_init_elem(any_array, segment);
            }
            Sink::Fixed => {
                self.f.op().local_get(old.shelf);
                self.spread(counter, 1, old.len);
                self.f.op().local_get(young).local_get(counter).ref_i31();
                self.f.op().array_new_fixed(any_array, 2).array_set(any_array);
            }
        }
    }
}
