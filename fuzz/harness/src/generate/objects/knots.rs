//! Cycles: objects in locals are made to refer to each other in a ring, along whatever mutable fields and elements fit; and nodes are
//! made to refer to each other at random while the program runs, so that one program builds many shapes.

use wasm_encoder::{BlockType, HeapType, RefType, StorageType, ValType};

use super::Generator;
use super::program::STIR;
use super::types::nullable;

/// Objects of a ring, at most.
const LONGEST: usize = 4;

/// Attempts to find a ring among the locals.
const ATTEMPTS: usize = 6;

/// A place in the object of a local.
#[derive(Clone, Copy)]
struct Place {
    local: u32,
    /// The local's type, and whether it may be null.
    ty: u32,
    nullable: bool,
    /// A struct's field; none is the first element of an array, if there is one.
    field: Option<u32>,
    /// What it takes.
    takes: RefType,
}

impl Generator<'_, '_> {
    /// Closes a ring among the objects in locals, if there is one that fits.
    pub(super) fn knot(&mut self) {
        let places = self.places();
        if places.is_empty() {
            return;
        }
        for _ in 0..ATTEMPTS {
            let len = self.c.range(1, LONGEST);
            let ring: Vec<Place> = (0..len).map(|_| self.c.pick(&places)).collect();
            let closes = (0..len).all(|at| {
                let held = self.local_type(ring[(at + 1) % len].local);
                held.is_some_and(|held| self.p.types.ref_subtype(held, ring[at].takes))
            });
            if closes {
                for at in 0..len {
                    self.tie(ring[at], ring[(at + 1) % len].local);
                }
                return;
            }
        }
    }

    /// `(i32) -> (ref null $node)`: nodes in an array, and one of them. Which refers to which, the number says together with those of earlier
    /// calls.
    pub(super) fn define_tangle(&mut self) {
        let types = &self.p.types;
        let (node, array) = (types.node, types.node_array);
        let one = nullable(HeapType::Concrete(node));
        let fits = |storage| matches!(storage, StorageType::Val(ValType::Ref(takes)) if types.ref_subtype(one, takes));
        let fields: Vec<u32> = types
            .fields(node)
            .iter()
            .zip(0..)
            .filter(|(def, at)| def.mutable && fits(def.element_type) && *at != types.next)
            .map(|(_, at)| at)
            .collect();
        let (next, payload) = (types.next, self.payload());
        let tangle = self.p.declare(&[ValType::I32], &[ValType::Ref(one)]);
        self.p.tangle = tangle;
        let nodes = self.c.pick(&[2, 3, 3, 4, 5, 7]);
        let rounds = nodes as usize * self.c.range(2, 4);
        let mut pulses = 0;
        self.define(tangle, usize::MAX, |g| {
            let [all, last] = [array, node].map(|ty| g.scratch_ref(ty));
            // Element 0 stays null; the nodes are a chain at first.
            g.f.op().i32_const(nodes + 1).array_new_default(array).local_set(all);
            g.rounds(nodes as usize, |g, counter| {
                g.f.op().local_get(all).local_get(counter);
                g.node(Some(last), Some(counter), None);
                g.f.op().local_tee(last).array_set(array);
            });
            g.rounds(rounds, |g, _| {
                // The constants of the generator in the C standard's example of `rand`.
                g.f.op().global_get(STIR).local_get(0).i32_add().i32_const(1_103_515_245).i32_mul();
                g.f.op().i32_const(12345).i32_add().local_tee(0).global_set(STIR);
                g.any_of(all, 13, 1, nodes);
                // Where only one reference of each node changes there are rings and nothing else.
                let field = if g.c.chance(1, 6) { next } else { g.c.pick(&fields) };
                if field == payload && g.c.chance(1, 6) {
                    g.f.op().local_get(all);
                } else {
                    g.any_of(all, 21, 0, nodes + 1);
                }
                g.f.op().struct_set(node, field);
                if g.c.chance(1, 4) {
                    g.f.op().call(g.p.pulse);
                    pulses = rounds;
                }
            });
            g.f.op().local_get(last);
        });
        let cost = &mut self.p.function_mut(tangle).cost;
        // One pulse of some six collects.
        cost.collections = cost.collections.min(2) + pulses.div_ceil(6);
    }

    /// Leaves one of `count` elements of the array of nodes in local `all`, from element `first`, as the bits of local 0 from `shift` say.
    fn any_of(&mut self, all: u32, shift: i32, first: i32, count: i32) {
        self.f.op().local_get(all);
        self.f.op().local_get(0).i32_const(shift).i32_shr_u().i32_const(count).i32_rem_u();
        if first != 0 {
            self.f.op().i32_const(first).i32_add();
        }
        self.f.op().array_get(self.p.types.node_array);
    }

    /// Leaves a tangle. The number is what the function was called with, if that is one.
    pub(super) fn tangle(&mut self) {
        match self.f.locals[..self.f.params].iter().position(|local| local.ty == ValType::I32) {
            Some(param) => {
                self.f.op().local_get(param as u32);
            }
            None => {
                let number = self.c.i32();
                self.f.op().i32_const(number);
            }
        }
        self.call(self.p.tangle);
    }

    fn local_type(&self, local: u32) -> Option<RefType> {
        match self.f.locals[local as usize].ty {
            ValType::Ref(ty) => Some(ty),
            _ => None,
        }
    }

    /// Mutable places for references in the objects that locals of concrete types hold.
    fn places(&self) -> Vec<Place> {
        let types = &self.p.types;
        let mut places = Vec::new();
        for (local, held) in self.readable_locals() {
            let HeapType::Concrete(ty) = held.heap_type else { continue };
            let mut add = |field, def: wasm_encoder::FieldType| {
                if let (StorageType::Val(ValType::Ref(takes)), true) = (def.element_type, def.mutable) {
                    places.push(Place { local, ty, nullable: held.nullable, field, takes });
                }
            };
            if types.is_struct(ty) {
                types.fields(ty).iter().zip(0..).for_each(|(def, field)| add(Some(field), *def));
            } else if types.arrays.contains(&ty) {
                add(None, types.element(ty));
            }
        }
        places
    }

    /// Makes `place` refer to what `target` holds.
    fn tie(&mut self, place: Place, target: u32) {
        self.block(BlockType::Empty);
        if place.nullable {
            self.f.op().local_get(place.local).ref_is_null().br_if(0);
        }
        match place.field {
            Some(field) => {
                self.f.op().local_get(place.local).local_get(target).struct_set(place.ty, field);
            }
            None => {
                self.f.op().local_get(place.local).array_len().i32_eqz().br_if(0);
                self.f.op().local_get(place.local).i32_const(0).local_get(target).array_set(place.ty);
            }
        }
        self.end();
    }
}
