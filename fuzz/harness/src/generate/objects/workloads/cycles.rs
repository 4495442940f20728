//! Cycles that come and go: rings of 1 to 64 nodes, tied to each other, through arrays, and to live objects for a while.

use wasm_encoder::HeapType;

use crate::generate::objects::Generator;

/// What becomes of a ring.
#[derive(Clone, Copy)]
enum Fate {
    Dropped,
    Selfish,
    CrossLinked,
    Hung,
    InArray,
    Shortened,
    Opened,
}

const FATES: &[Fate] = &[
    Fate::Dropped,
    Fate::Selfish,
    Fate::CrossLinked,
    Fate::Hung,
    Fate::InArray,
    Fate::Shortened,
    Fate::Opened,
];

impl Generator<'_, '_> {
    pub(super) fn cycles(&mut self, scale: usize) {
        let types = &self.p.types;
        let (node, next, any_array) = (types.node, types.next, types.any_array);
        let payload = self.payload();
        let old = self.old();
        let [ring, other] = [node; 2].map(|ty| self.scratch_ref(ty));
        let most = self.c.pick(&[2, 2, 3, 5, 9, 17, 33, 64]);
        let rounds = self.c.range(4, 8) * scale;
        let count = self.c.range(2, 3);
        let fates = self.several(FATES, count);
        self.rounds(rounds, |g, counter| {
            for fate in fates {
                g.spread(counter, 1, most + 1);
                g.f.op().call(g.p.ring).local_set(ring);
                match fate {
                    Fate::Dropped => {}
                    // The payload of a node is the node: two references around one object.
                    Fate::Selfish => {
                        g.f.op().local_get(ring).local_get(ring).struct_set(node, payload);
                    }
                    Fate::CrossLinked => {
                        g.spread(counter, 1, 6);
                        g.f.op().call(g.p.ring).local_set(other);
                        g.f.op().local_get(ring).local_get(other).struct_set(node, payload);
                        g.f.op().local_get(other).local_get(ring).struct_set(node, payload);
                    }
                    // On a live object, which points back at times; some rounds later another takes its place, or null.
                    Fate::Hung => {
                        if g.c.chance(1, 2) {
                            g.f.op().local_get(ring).local_get(old.owner).struct_set(node, payload);
                        }
                        g.f.op().local_get(old.owner).local_get(ring).struct_set(node, next);
                        let every = g.c.range(2, 4);
                        g.every(counter, every, |g| {
                            g.f.op().local_get(old.owner).ref_null(HeapType::Concrete(node));
                            g.f.op().struct_set(node, next);
                        });
                    }
                    // Through an array that lies on the shelf for a while.
                    Fate::InArray => {
                        let len = g.c.range(1, 9) as i32;
                        g.f.op().local_get(ring);
                        g.f.op().local_get(ring).i32_const(len).array_new(any_array);
                        g.f.op().struct_set(node, payload);
                        g.f.op().local_get(old.shelf);
                        g.spread(counter, 1, old.len.min(8));
                        g.f.op().local_get(ring).struct_get(node, payload).array_set(any_array);
                    }
                    // One node leaves; it still points into the ring.
                    Fate::Shortened => {
                        g.f.op().local_get(ring).struct_get(node, next).local_set(other);
                        g.f.op().local_get(ring).local_get(other).struct_get(node, next);
                        g.f.op().struct_set(node, next);
                    }
                    // No ring any more: what remains is a chain that dies, and its end.
                    Fate::Opened => {
                        g.f.op().local_get(ring).struct_get(node, next).local_set(other);
                        g.f.op().local_get(ring).ref_null(HeapType::Concrete(node)).struct_set(node, next);
                    }
                }
                if g.c.chance(1, 2) {
                    g.garbage();
                }
                g.f.op().local_get(ring).struct_get(node, payload);
                g.peek();
            }
            g.pace(counter, rounds);
            g.f.op().local_get(ring).struct_get(node, next);
            g.peek();
            g.f.op().local_get(old.owner).struct_get(node, next);
            g.peek();
            g.f.op().local_get(old.shelf);
            g.spread(counter, 0, old.len);
            g.f.op().array_get(any_array);
            g.peek();
        });
        for local in [ring, other] {
            self.f.op().ref_null(HeapType::Concrete(node)).local_set(local);
        }
        // The ring that is still hung has its whole length.
        self.f.op().local_get(old.owner).struct_get(node, next).call(self.p.sum_list);
        self.fold();
    }
}
