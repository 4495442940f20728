//! References that move: read from one place, stored into another, the first then cleared; swapped; overwritten A, B, A,
//! null. The only path to an object changes from a place that a marker has not seen to one that it is done with.

use wasm_encoder::HeapType;

use super::Old;
use crate::generate::objects::Generator;

/// One change of the graph.
#[derive(Clone, Copy)]
enum Move {
    FieldToField,
    FieldToLocal,
    FieldToElement,
    ElementToField,
    Swap,
    SwapElements,
    BackAndForth,
    ShiftUp,
    ShiftDown,
}

const MOVES: &[Move] = &[
    Move::FieldToField,
    Move::FieldToLocal,
    Move::FieldToElement,
    Move::ElementToField,
    Move::Swap,
    Move::SwapElements,
    Move::BackAndForth,
    Move::ShiftUp,
    Move::ShiftDown,
];

/// The objects that references move between, by their locals.
#[derive(Clone, Copy)]
struct Places {
    old: Old,
    /// A younger node, not null.
    other: u32,
    /// What is on its way, of type anyref; and a node.
    carried: u32,
    carried_node: u32,
}

impl Generator<'_, '_> {
    pub(super) fn moves(&mut self, scale: usize) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        let payload = self.payload();
        let old = self.old();
        let places = Places {
            old,
            other: self.scratch_ref(node),
            carried: self.f.scratch(wasm_encoder::ValType::Ref(super::ANYREF)),
            carried_node: self.scratch_ref(node),
        };
        self.node(None, None, None);
        self.f.op().local_set(places.other);
        let count = self.c.range(3, 5);
        let moves = self.several(MOVES, count);
        let rounds = self.c.range(5, 14) * scale;
        self.rounds(rounds, |g, counter| {
            // Something to move: a fresh node behind the old one, with an object of its own.
            g.node(None, Some(counter), None);
            g.f.op().local_set(places.carried_node);
            g.f.op().local_get(old.owner);
            g.node(Some(places.carried_node), Some(counter), None);
            g.f.op().struct_set(node, next);
            g.f.op().ref_null(HeapType::Concrete(node)).local_set(places.carried_node);
            for step in moves {
                g.move_reference(step, places, counter);
                if g.c.chance(1, 2) {
                    g.garbage();
                }
            }
            g.pace(counter, rounds);
            g.f.op().local_get(places.carried);
            g.peek();
            g.f.op().local_get(places.other).struct_get(node, payload);
            g.peek();
            g.f.op().local_get(places.other).struct_get(node, next);
            g.peek();
            g.f.op().local_get(old.owner).struct_get(node, payload);
            g.peek();
            g.f.op().local_get(old.shelf);
            g.spread(counter, 0, old.len);
            g.f.op().array_get(any_array);
            g.peek();
        });
        self.f.op().local_get(old.owner).local_get(places.other).struct_set(node, payload);
        self.f.op().local_get(old.shelf);
        self.consume(wasm_encoder::ValType::Ref(super::nullable(HeapType::Concrete(any_array))));
        self.fold();
    }

    fn move_reference(&mut self, step: Move, places: Places, counter: u32) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        let payload = self.payload();
        let Places { old, other, carried, carried_node } = places;
        let null = HeapType::Concrete(node);
        match step {
            Move::FieldToField => {
                let (from, to) = if self.c.chance(1, 2) { (old.owner, other) } else { (other, old.owner) };
                self.f.op().local_get(from).struct_get(node, next).local_set(carried_node);
                self.f.op().local_get(from).ref_null(null).struct_set(node, next);
                // Nothing but a local holds it meanwhile.
                self.garbage();
                self.f.op().local_get(to).local_get(carried_node).struct_set(node, next);
                self.f.op().ref_null(null).local_set(carried_node);
            }
            Move::FieldToLocal => {
                self.f.op().local_get(old.owner).struct_get(node, next).local_set(carried);
                self.f.op().local_get(old.owner).ref_null(null).struct_set(node, next);
            }
            Move::FieldToElement => {
                self.f.op().local_get(old.shelf);
                self.spread(counter, 1, old.len);
                self.f.op().local_get(old.owner).struct_get(node, next).array_set(any_array);
                self.f.op().local_get(old.owner).ref_null(null).struct_set(node, next);
            }
            Move::ElementToField => {
                let index = self.f.scratch(wasm_encoder::ValType::I32);
                self.spread(counter, 1, old.len);
                self.f.op().local_set(index);
                self.f.op().local_get(other);
                self.f.op().local_get(old.shelf).local_get(index).array_get(any_array);
                self.f.op().struct_set(node, payload);
                self.f.op().local_get(old.shelf).local_get(index).ref_null(null).array_set(any_array);
            }
            Move::Swap => {
                self.f.op().local_get(old.owner).struct_get(node, payload).local_set(carried);
                self.f.op().local_get(old.owner).local_get(other).struct_get(node, payload);
                self.f.op().struct_set(node, payload);
                self.f.op().local_get(other).local_get(carried).struct_set(node, payload);
            }
            Move::SwapElements => {
                let (one, two) = (1 + self.c.below(2) as i32, old.len as i32 - 1);
                self.f.op().local_get(old.shelf).i32_const(one).array_get(any_array).local_set(carried);
                self.f.op().local_get(old.shelf).i32_const(one);
                self.f.op().local_get(old.shelf).i32_const(two).array_get(any_array).array_set(any_array);
                self.f.op().local_get(old.shelf).i32_const(two).local_get(carried).array_set(any_array);
            }
            // The count of what is held goes up and down around the last reference.
            Move::BackAndForth => {
                self.node(None, Some(counter), None);
                self.f.op().local_set(carried_node);
                for _ in 0..2 {
                    self.f.op().local_get(other).local_get(carried_node).struct_set(node, payload);
                    self.f.op().local_get(other);
                    match self.c.below(3) {
                        0 => self.node(None, None, None),
                        1 => {
                            self.f.op().local_get(counter).ref_i31();
                        }
                        _ => {
                            self.f.op().local_get(other);
                        }
                    }
                    self.f.op().struct_set(node, payload);
                }
                self.f.op().local_get(other).local_get(carried_node).struct_set(node, payload);
                self.f.op().ref_null(null).local_set(carried_node);
                self.garbage();
                self.f.op().local_get(other).struct_get(node, payload).ref_cast_nullable(null);
                self.f.op().local_tee(carried_node).struct_get(node, self.p.types.key).i64_extend_i32_s();
                self.fold();
                self.f.op().local_get(other).ref_null(null).struct_set(node, payload);
                self.f.op().local_get(other).local_get(carried_node).struct_set(node, next);
                self.f.op().ref_null(null).local_set(carried_node);
            }
            Move::ShiftUp | Move::ShiftDown => {
                let by = self.c.range(1, (old.len as usize - 2).min(3)) as i32;
                let (to, from) = if matches!(step, Move::ShiftUp) { (1 + by, 1) } else { (1, 1 + by) };
                self.f.op().local_get(old.shelf).i32_const(to).local_get(old.shelf).i32_const(from);
                self.f.op().i32_const(old.len as i32 - 1 - by).array_copy(any_array, any_array);
                // What moved last is in one place only.
                let last = if matches!(step, Move::ShiftUp) { 1 } else { old.len as i32 - 1 };
                self.f.op().local_get(old.shelf).i32_const(last);
                self.node(None, Some(counter), None);
                self.f.op().array_set(any_array);
            }
        }
    }
}
