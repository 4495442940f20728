//! Objects of all sizes: structs of no field to a kilobyte, arrays whose bytes double from a few to beyond 8192. Values
//! are written at allocation and read again after others of the same size came, some to stay and some to die.

use wasm_encoder::{BlockType, FieldType, HeapType, StorageType, ValType};

use super::SENTINEL;
use crate::generate::objects::Generator;
use crate::generate::objects::types::{ANYREF, non_null};

/// Numbers of fields, around the powers of two.
const FIELDS: &[usize] =
    &[0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 96, 120, 127, 128];

/// A local of some type of object.
type Place = (u32, u32);

impl Generator<'_, '_> {
    pub(super) fn sizes(&mut self, scale: usize) {
        let any_array = self.p.types.any_array;
        let shelf = self.scratch_ref(any_array);
        let slots = self.c.range(8, 40);
        self.f.op().i32_const(slots as i32).array_new_default(any_array).local_set(shelf);
        if self.c.chance(1, 2) {
            let ty = non_null(HeapType::Concrete(any_array));
            let global = self.own_global(super::nullable(ty.heap_type));
            self.f.op().local_get(shelf).global_set(global);
        }
        let which = self.c.below(4);
        if which != 0 {
            self.sized_arrays(shelf, slots as u32, scale);
        }
        if which != 1 {
            self.sized_structs(shelf, slots as u32, scale);
        }
    }

    fn sized_arrays(&mut self, shelf: u32, slots: u32, scale: usize) {
        let any_array = self.p.types.any_array;
        // Doublings of the length, so that the bytes go beyond 8192; of bytes at times far beyond.
        let (storage, doublings) = self.c.pick(&[
            (StorageType::I8, 14),
            (StorageType::I8, 10),
            (StorageType::I16, 13),
            (StorageType::Val(ValType::I64), 11),
            (StorageType::Val(ValType::F64), 11),
            (StorageType::Val(ValType::Ref(ANYREF)), 12),
        ]);
        let ty = match storage {
            StorageType::Val(ValType::Ref(_)) => any_array,
            scalar => self.p.types.own_array(scalar),
        };
        let [len, array] = [ValType::I32, ValType::Ref(super::nullable(HeapType::Concrete(ty)))]
            .map(|ty| self.f.scratch(ty));
        let rounds = self.c.range(doublings, 30) * scale.min(4);
        self.rounds(rounds, |g, counter| {
            g.f.op().i32_const(1);
            g.spread(counter, 0, doublings as u32);
            g.f.op().i32_shl();
            g.spread(counter, 0, 3);
            g.f.op().i32_add().i32_const(1).i32_sub().local_set(len);
            g.sized_value(storage, Some(counter));
            g.f.op().local_get(len).array_new(ty).local_set(array);
            g.f.op().local_get(shelf);
            g.spread(counter, 0, slots);
            g.f.op().local_get(array).array_set(any_array);
            // Of the same size, dropped at once.
            g.sized_value(storage, None);
            g.f.op().local_get(len).array_new(ty).drop();
            g.pace(counter, rounds);
            g.read_ends((shelf, any_array), (array, ty), slots, counter);
        });
    }

    /// Reads the first and the last element of some array on the shelf, if it is of this type.
    fn read_ends(&mut self, shelf: Place, array: Place, slots: u32, counter: u32) {
        let ((shelf, any_array), (array, ty)) = (shelf, array);
        let storage = self.p.types.element(ty).element_type;
        self.block(BlockType::Result(ValType::Ref(ANYREF)));
        self.f.op().local_get(shelf);
        self.spread(counter, 0, slots);
        self.f.op().array_get(any_array);
        self.f.op().br_on_cast_fail(0, ANYREF, non_null(HeapType::Concrete(ty))).local_tee(array);
        self.f.op().array_len();
        self.if_(BlockType::Empty);
        for end in [false, true] {
            self.f.op().local_get(array);
            if end {
                self.f.op().local_get(array).array_len().i32_const(1).i32_sub();
            } else {
                self.f.op().i32_const(0);
            }
            self.array_get(ty);
            if matches!(storage, StorageType::Val(ValType::Ref(_))) {
                self.peek();
            } else {
                self.as_i64(storage);
                self.fold();
            }
        }
        self.end();
        self.f.op().local_get(array);
        self.end();
        self.peek();
    }

    fn sized_structs(&mut self, shelf: u32, slots: u32, scale: usize) {
        let any_array = self.p.types.any_array;
        let count = self.c.range(2, 3);
        let mut places: Vec<Place> = Vec::new();
        for fields in self.several(FIELDS, count) {
            let ty = self.own_struct(fields);
            // One that is there from the beginning.
            let held = self.scratch_ref(ty);
            self.f.op().struct_new_default(ty).local_set(held);
            self.write_ends((held, ty), None);
            places.push((held, ty));
        }
        let rounds = self.c.range(5, 12) * scale;
        self.rounds(rounds, |g, counter| {
            for &(held, ty) in &places {
                let fresh = g.scratch_ref(ty);
                g.f.op().struct_new_default(ty).local_set(fresh);
                g.write_ends((fresh, ty), Some(counter));
                g.f.op().local_get(shelf);
                g.spread(counter, 0, slots);
                g.f.op().local_get(fresh).array_set(any_array);
                g.f.op().struct_new_default(ty).drop();
                g.read_fields((fresh, ty));
                g.read_fields((held, ty));
                // The one held dies; the one on the shelf is held instead.
                g.every(counter, 4, |g| {
                    g.f.op().local_get(fresh).local_set(held);
                });
            }
            g.pace(counter, rounds);
        });
        for place in places {
            self.read_fields(place);
        }
    }

    /// A struct type of so many mutable fields that all have defaults.
    fn own_struct(&mut self, fields: usize) -> u32 {
        let kinds = [
            StorageType::Val(ValType::I64),
            StorageType::Val(ValType::Ref(ANYREF)),
            StorageType::Val(ValType::I32),
            StorageType::I16,
        ];
        let only = self.c.chance(1, 2).then(|| self.c.pick(&kinds));
        let fields = (0..fields)
            .map(|_| FieldType { element_type: only.unwrap_or_else(|| self.c.pick(&kinds)), mutable: true })
            .collect();
        self.p.types.own_struct(fields)
    }

    /// The fields that are written and read: the first, one in the middle, the last.
    fn read_at(&self, ty: u32) -> Vec<(u32, StorageType)> {
        let fields = self.p.types.fields(ty);
        let mut at = vec![0, fields.len() / 2, fields.len().saturating_sub(1)];
        at.dedup();
        at.into_iter().filter_map(|at| fields.get(at).map(|field| (at as u32, field.element_type))).collect()
    }

    fn write_ends(&mut self, (local, ty): Place, counter: Option<u32>) {
        for (field, storage) in self.read_at(ty) {
            self.f.op().local_get(local);
            self.sized_value(storage, counter);
            self.f.op().struct_set(ty, field);
        }
    }

    fn read_fields(&mut self, (local, ty): Place) {
        for (field, storage) in self.read_at(ty) {
            self.f.op().local_get(local);
            self.struct_get(ty, field);
            if matches!(storage, StorageType::Val(ValType::Ref(_))) {
                self.peek();
            } else {
                self.as_i64(storage);
                self.fold();
            }
        }
    }

    /// A value that depends on the counter, or the sentinel; a fresh node for a reference.
    fn sized_value(&mut self, storage: StorageType, counter: Option<u32>) {
        if let ValType::Ref(_) = storage.unpack() {
            return self.node(None, counter, None);
        }
        match counter {
            Some(counter) => self.f.op().local_get(counter),
            None => self.f.op().i32_const(SENTINEL),
        };
        match storage.unpack() {
            ValType::I64 => {
                self.f.op().i64_extend_i32_s();
            }
            ValType::F64 => {
                self.f.op().f64_convert_i32_s();
            }
            _ => {}
        }
    }
}
