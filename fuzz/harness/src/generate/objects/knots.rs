//! Cycles: objects in locals are made to refer to each other in a ring, along whatever mutable fields and elements fit.

use wasm_encoder::{BlockType, HeapType, RefType, StorageType, ValType};

use super::Generator;

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
