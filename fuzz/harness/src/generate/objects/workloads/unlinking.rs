//! Whole subgraphs that one overwritten reference lets die, many times, while what lives stays small: what is not
//! reclaimed shows in the count of live objects, or the heap runs out.

use wasm_encoder::{AbstractHeapType, HeapType, ValType};

use super::Old;
use crate::generate::objects::Generator;
use crate::generate::objects::types::{ANYREF, heap, nullable};

/// The one reference.
#[derive(Clone, Copy)]
enum Hook {
    Next,
    Payload,
    Element,
    Global,
    Table,
    Local,
}

const HOOKS: &[Hook] = &[Hook::Next, Hook::Payload, Hook::Element, Hook::Global, Hook::Table, Hook::Local];

/// What hangs on it.
#[derive(Clone, Copy)]
enum Subgraph {
    Ring,
    Chain,
    Made,
    Rings,
    Shared,
}

const SUBGRAPHS: &[Subgraph] =
    &[Subgraph::Ring, Subgraph::Chain, Subgraph::Made, Subgraph::Rings, Subgraph::Shared];

impl Generator<'_, '_> {
    pub(super) fn unlinking(&mut self, scale: usize) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        let old = self.old();
        let global = self.own_global(ANYREF);
        let table = self.own_table(ANYREF, 4, 4);
        let held = self.f.scratch(ValType::Ref(ANYREF));
        let count = self.c.range(2, 3);
        let hooks = self.several(HOOKS, count);
        let size = self.c.pick(&[2, 3, 6, 12, 40]);
        let rounds = self.c.range(4, 9) * scale;
        self.rounds(rounds, |g, counter| {
            for &hook in &hooks {
                let subgraph = g.c.pick(SUBGRAPHS);
                g.hang(hook, subgraph, old, (global, table, held), counter, size);
                if g.c.chance(1, 2) {
                    g.garbage();
                }
            }
            g.pace(counter, rounds);
            g.f.op().global_get(global);
            g.peek();
            g.f.op().local_get(held);
            g.peek();
            g.f.op().local_get(old.owner).struct_get(node, next);
            g.peek();
        });
        // One long chain: whoever follows references by calls runs out of stack.
        if scale > 1 || self.c.chance(1, 10) {
            let len = if scale > 1 { self.c.range(2000, 6000) } else { self.c.range(200, 900) };
            self.f.op().local_get(old.owner).i32_const(len as i32).call(self.p.ring);
            self.f.op().struct_set(node, next);
            self.collect();
            // Opened behind its first node, so that the rest dies.
            self.f.op().local_get(old.owner).struct_get(node, next).ref_null(HeapType::Concrete(node));
            self.f.op().struct_set(node, next);
            self.garbage();
        }
        if self.c.chance(2, 3) {
            for hook in hooks {
                self.unhook(hook, old, (global, table, held));
            }
        }
        self.collect();
        self.f.op().local_get(old.shelf);
        self.consume(ValType::Ref(nullable(HeapType::Concrete(any_array))));
        self.fold();
    }

    /// Overwrites the hook's reference with a new subgraph.
    fn hang(
        &mut self,
        hook: Hook,
        subgraph: Subgraph,
        old: Old,
        (global, table, held): (u32, u32, u32),
        counter: u32,
        size: u32,
    ) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        let payload = self.payload();
        match hook {
            Hook::Next => {
                self.f.op().local_get(old.owner);
                // Of a node's type.
                let simple = if matches!(subgraph, Subgraph::Chain) { subgraph } else { Subgraph::Ring };
                self.subgraph(simple, counter, size);
                self.f.op().struct_set(node, next);
            }
            Hook::Payload => {
                self.f.op().local_get(old.owner);
                self.subgraph(subgraph, counter, size);
                self.f.op().struct_set(node, payload);
            }
            Hook::Element => {
                let at = 1 + self.c.below(old.len as usize - 1) as i32;
                self.f.op().local_get(old.shelf).i32_const(at);
                self.subgraph(subgraph, counter, size);
                self.f.op().array_set(any_array);
            }
            Hook::Global => {
                self.subgraph(subgraph, counter, size);
                self.f.op().global_set(global);
            }
            Hook::Table => {
                self.spread(counter, 0, 4);
                self.subgraph(subgraph, counter, size);
                self.f.op().table_set(table);
            }
            Hook::Local => {
                self.subgraph(subgraph, counter, size);
                self.f.op().local_set(held);
            }
        }
    }

    /// Leaves the only reference to a new subgraph.
    fn subgraph(&mut self, subgraph: Subgraph, counter: u32, size: u32) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        match subgraph {
            Subgraph::Ring => {
                self.spread(counter, 1, size + 1);
                self.f.op().call(self.p.ring);
            }
            Subgraph::Chain => {
                // The ring's head, moved on by one, is the end of a chain once the first node's next is null.
                let [head, second] = [node; 2].map(|ty| self.scratch_ref(ty));
                self.f.op().i32_const(size as i32 + 1).call(self.p.ring).local_tee(head);
                self.f.op().struct_get(node, next).local_set(second);
                self.f.op().local_get(head).ref_null(HeapType::Concrete(node)).struct_set(node, next);
                self.f.op().local_get(second);
                for local in [head, second] {
                    self.f.op().ref_null(HeapType::Concrete(node)).local_set(local);
                }
            }
            Subgraph::Made => {
                let maker = self.c.pick(&self.p.makers);
                let depth = self.c.below(5) as i32;
                self.f.op().i32_const(depth);
                self.call_somehow(maker.function);
            }
            // Rings in an array, and one in an array within it.
            Subgraph::Rings => {
                for _ in 0..2 {
                    self.spread(counter, 1, 5);
                    self.f.op().call(self.p.ring);
                }
                self.f.op().i32_const(3).call(self.p.ring).i32_const(7).array_new(any_array);
                self.f.op().array_new_fixed(any_array, 3);
            }
            // Two ways to one ring: from a node by its next and by its payload.
            Subgraph::Shared => {
                let ring = self.scratch_ref(node);
                self.spread(counter, 1, size + 1);
                self.f.op().call(self.p.ring).local_set(ring);
                self.node(Some(ring), Some(counter), Some(ring));
                self.f.op().ref_null(HeapType::Concrete(node)).local_set(ring);
            }
        }
    }

    /// Lets what hangs there die.
    fn unhook(&mut self, hook: Hook, old: Old, (global, table, held): (u32, u32, u32)) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        let payload = self.payload();
        let null = heap(AbstractHeapType::None);
        let mut op = self.f.op();
        match hook {
            Hook::Next => op.local_get(old.owner).ref_null(null).struct_set(node, next),
            Hook::Payload => op.local_get(old.owner).ref_null(null).struct_set(node, payload),
            Hook::Element => {
                op.local_get(old.shelf).i32_const(1).ref_null(null);
                op.i32_const(old.len as i32 - 1).array_fill(any_array)
            }
            Hook::Global => op.ref_null(null).global_set(global),
            Hook::Table => op.i32_const(0).ref_null(null).i32_const(4).table_fill(table),
            Hook::Local => op.ref_null(null).local_set(held),
        };
    }
}
