//! Allocations: every way to make a struct or an array.

use wasm_encoder::{AbstractHeapType as Abstract, HeapType, RefType, StorageType, ValType};

use super::Generator;
use super::types::heap;

/// Ways to make an array.
#[derive(Clone, Copy)]
enum ArrayBy {
    New,
    Default,
    Fixed,
    Data(u32),
    Elem(u32),
}

/// Bytes of an element in a data segment.
pub(super) fn storage_size(storage: StorageType) -> u32 {
    match storage {
        StorageType::I8 => 1,
        StorageType::I16 => 2,
        StorageType::Val(ValType::I32 | ValType::F32) => 4,
        StorageType::Val(ValType::V128) => 16,
        StorageType::Val(ValType::I64 | ValType::F64 | ValType::Ref(_)) => 8,
    }
}

impl Generator<'_, '_> {
    /// Makes an object of some type that `want` allows; a leaf where `want` is not about objects.
    pub(super) fn construct_for(&mut self, want: RefType, depth: usize) {
        let types = &self.p.types;
        let fitting: Vec<u32> = types
            .structs
            .iter()
            .chain(&types.arrays)
            .copied()
            .filter(|ty| types.heap_subtype(HeapType::Concrete(*ty), want.heap_type))
            .collect();
        if fitting.is_empty() || want.heap_type == heap(Abstract::None) {
            return self.leaf(want);
        }
        let ty = self.c.pick(&fitting);
        self.construct(ty, depth);
    }

    /// Makes an object of exactly this type.
    pub(super) fn construct(&mut self, ty: u32, depth: usize) {
        if !self.p.types.is_struct(ty) {
            self.construct_array(ty, depth, 0);
            return;
        }
        let fields = self.p.types.fields(ty).to_vec();
        let defaultable = fields.iter().all(|field| field.element_type.is_defaultable());
        let alias = self.p.types.alias(&mut self.c, ty);
        if defaultable && self.c.chance(1, 10) {
            self.f.op().struct_new_default(alias);
            return;
        }
        for field in fields {
            let below = if depth > 0 && self.c.chance(2, 5) { depth - 1 } else { 0 };
            match field.element_type.unpack() {
                ValType::Ref(want) if below == 0 => self.leaf(want),
                ty => self.value(ty, below),
            }
        }
        self.f.op().struct_new(alias);
    }

    /// Makes an array of this type with at least `min` elements; returns its length.
    pub(super) fn construct_array(&mut self, ty: u32, depth: usize, min: u32) -> u32 {
        let element = self.p.types.element(ty).element_type;
        let alias = self.p.types.alias(&mut self.c, ty);
        let mut ways = vec![ArrayBy::New, ArrayBy::Fixed, ArrayBy::Fixed];
        if element.is_defaultable() {
            ways.push(ArrayBy::Default);
        }
        match element {
            StorageType::Val(ValType::Ref(want)) => {
                for &segment in &self.p.lasting_elements {
                    let segment_type = self.p.elements[segment as usize].ty();
                    if self.p.types.ref_subtype(segment_type, want) {
                        ways.extend([ArrayBy::Elem(segment); 2]);
                    }
                }
            }
            _ => ways.extend([ArrayBy::Data(self.p.lasting_data); 2]),
        }
        match self.c.pick(&ways) {
            ArrayBy::New => {
                self.value(element.unpack(), depth.min(1));
                let len = self.length(min);
                self.f.op().i32_const(len as i32);
                self.f.op().array_new(alias);
                len
            }
            ArrayBy::Default => {
                let len = self.length(min);
                self.f.op().i32_const(len as i32);
                self.f.op().array_new_default(alias);
                len
            }
            ArrayBy::Fixed => {
                let len = self.c.range(min as usize, 4) as u32;
                for _ in 0..len {
                    let below = if depth > 0 && self.c.chance(1, 2) { depth - 1 } else { 0 };
                    self.value(element.unpack(), below);
                }
                self.f.op().array_new_fixed(alias, len);
                len
            }
            ArrayBy::Data(segment) => {
                let bytes = self.p.data[segment as usize].bytes.len() as u32;
                let most = (bytes / storage_size(element)).min(9);
                let len = self.c.range(min as usize, most as usize) as u32;
                let offset = self.c.below((bytes - len * storage_size(element)) as usize + 1);
                self.f.op().i32_const(offset as i32);
                self.f.op().i32_const(len as i32);
                self.f.op().array_new_data(alias, segment);
                len
            }
            ArrayBy::Elem(segment) => self.array_from(alias, segment, min),
        }
    }

    /// `array.new_elem` within the segment; returns the length.
    pub(super) fn array_from(&mut self, ty: u32, segment: u32, min: u32) -> u32 {
        let items = self.p.elements[segment as usize].len();
        let len = self.c.range(min as usize, items as usize) as u32;
        let offset = self.c.below((items - len) as usize + 1);
        self.f.op().i32_const(offset as i32);
        self.f.op().i32_const(len as i32);
        self.f.op().array_new_elem(ty, segment);
        len
    }

    /// A length: small, now and then larger.
    fn length(&mut self, min: u32) -> u32 {
        match self.c.below(8) {
            0 => self.c.range(9, 40) as u32,
            _ => min + self.c.below(7) as u32,
        }
    }

    /// `struct.get`, signed or unsigned where the field is packed.
    pub(super) fn struct_get(&mut self, ty: u32, field: u32) {
        let signed = self.c.chance(1, 2);
        match (self.p.types.fields(ty)[field as usize].element_type, signed) {
            (StorageType::Val(_), _) => self.f.op().struct_get(ty, field),
            (_, true) => self.f.op().struct_get_s(ty, field),
            (_, false) => self.f.op().struct_get_u(ty, field),
        };
    }

    /// `array.get`, likewise.
    pub(super) fn array_get(&mut self, ty: u32) {
        let signed = self.c.chance(1, 2);
        match (self.p.types.element(ty).element_type, signed) {
            (StorageType::Val(_), _) => self.f.op().array_get(ty),
            (_, true) => self.f.op().array_get_s(ty),
            (_, false) => self.f.op().array_get_u(ty),
        };
    }
}
