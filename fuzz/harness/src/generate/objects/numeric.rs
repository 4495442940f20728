//! Expressions of number type. None of them traps; float results are the same everywhere, since NaNs are canonical.

use wasm_encoder::{
    AbstractHeapType as Abstract, HeapType, Ieee32, Ieee64, MemArg, MemArgTarget, StorageType, ValType,
};

use super::Generator;
use super::program::OBJECTS;
use super::types::{ANYREF, EXTERNREF, FUNCREF, heap, non_null, nullable};

/// Bytes of memory that loads and stores stay within (a part of the first page).
pub(super) const MEMORY_WINDOW: i32 = 0x7f8;

/// The immediate of a load or store in memory 0.
pub(super) fn at(offset: u8) -> MemArg {
    MemArg { offset: u64::from(offset), align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

impl Generator<'_, '_> {
    /// Emits an expression of this number type.
    pub(super) fn numeric(&mut self, ty: ValType, depth: usize) {
        if depth == 0 || !self.f.room() {
            return self.number_leaf(ty);
        }
        match ty {
            ValType::I32 => self.i32(depth - 1),
            ValType::I64 => self.i64(depth - 1),
            ValType::F32 => self.f32(depth - 1),
            ValType::V128 => self.v128(depth - 1),
            ValType::F64 | ValType::Ref(_) => self.f64(depth - 1),
        }
    }

    /// A vector; no floats, whose NaNs would differ.
    fn v128(&mut self, depth: usize) {
        match self.c.below(8) {
            0 => {
                self.numeric(ValType::I64, depth);
                self.f.op().i64x2_splat();
            }
            1 => {
                self.numeric(ValType::I32, depth);
                self.f.op().i32x4_splat();
            }
            2 | 3 => {
                self.numeric(ValType::V128, depth);
                self.numeric(ValType::V128, depth);
                let which = self.c.below(6);
                let mut op = self.f.op();
                match which {
                    0 => op.i64x2_add(),
                    1 => op.i32x4_mul(),
                    2 => op.v128_xor(),
                    3 => op.i8x16_swizzle(),
                    4 => op.i16x8_sub_sat_s(),
                    _ => op.i8x16_max_u(),
                };
            }
            _ => self.read_number(StorageType::Val(ValType::V128), depth),
        }
    }

    fn number_leaf(&mut self, ty: ValType) {
        let locals: Vec<u32> = self
            .f
            .locals
            .iter()
            .enumerate()
            .filter(|(_, local)| local.ty == ty && local.readable)
            .map(|(index, _)| index as u32)
            .collect();
        if !locals.is_empty() && self.c.chance(1, 2) {
            let local = self.c.pick(&locals);
            self.f.op().local_get(local);
            return;
        }
        match ty {
            ValType::I32 => {
                let value = self.c.i32();
                self.f.op().i32_const(value);
            }
            ValType::I64 => {
                let value = self.c.i64();
                self.f.op().i64_const(value);
            }
            ValType::F32 => {
                let bits = self.c.f32();
                self.f.op().f32_const(Ieee32::new(bits));
            }
            ValType::V128 => {
                let bits = self.c.v128();
                self.f.op().v128_const(bits);
            }
            ValType::F64 | ValType::Ref(_) => {
                let bits = self.c.f64();
                self.f.op().f64_const(Ieee64::new(bits));
            }
        }
    }

    fn i32(&mut self, depth: usize) {
        match self.c.below(16) {
            0..=3 => {
                self.numeric(ValType::I32, depth);
                self.numeric(ValType::I32, depth);
                let which = self.c.below(14);
                let mut op = self.f.op();
                match which {
                    0 => op.i32_add(),
                    1 => op.i32_sub(),
                    2 => op.i32_mul(),
                    3 => op.i32_and(),
                    4 => op.i32_or(),
                    5 => op.i32_xor(),
                    6 => op.i32_shl(),
                    7 => op.i32_shr_s(),
                    8 => op.i32_shr_u(),
                    9 => op.i32_rotl(),
                    10 => op.i32_rotr(),
                    11 => op.i32_lt_s(),
                    12 => op.i32_ge_u(),
                    _ => op.i32_eq(),
                };
            }
            4 => {
                self.numeric(ValType::I32, depth);
                let by = self.c.pick(&[3, 7, 10, -5, 16, i32::MAX]);
                self.f.op().i32_const(by);
                let which = self.c.below(4);
                let mut op = self.f.op();
                match which {
                    0 => op.i32_div_s(),
                    1 => op.i32_div_u(),
                    2 => op.i32_rem_s(),
                    _ => op.i32_rem_u(),
                };
            }
            5 => {
                self.numeric(ValType::I32, depth);
                let which = self.c.below(6);
                let mut op = self.f.op();
                match which {
                    0 => op.i32_clz(),
                    1 => op.i32_ctz(),
                    2 => op.i32_popcnt(),
                    3 => op.i32_eqz(),
                    4 => op.i32_extend8_s(),
                    _ => op.i32_extend16_s(),
                };
            }
            6 => {
                self.numeric(ValType::I64, depth);
                if self.c.chance(1, 2) {
                    self.f.op().i32_wrap_i64();
                } else {
                    self.f.op().i64_eqz();
                }
            }
            7 => {
                self.reference(ANYREF, depth);
                let ty = self.any_heap_type();
                let ty = if self.c.chance(1, 2) { nullable(ty) } else { non_null(ty) };
                self.test(ty);
            }
            8 => {
                let ty = self.c.pick(&[ANYREF, FUNCREF, EXTERNREF]);
                self.reference(ty, depth);
                self.f.op().ref_is_null();
            }
            9 => {
                let eq = nullable(heap(Abstract::Eq));
                self.reference(eq, depth);
                self.reference(eq, depth);
                self.f.op().ref_eq();
            }
            10 => {
                let ty = self.c.pick(&self.p.types.arrays);
                let of = self.c.pick(&[HeapType::Concrete(ty), heap(Abstract::Array)]);
                self.reference(non_null(of), depth);
                self.f.op().array_len();
            }
            11 => {
                self.reference(non_null(HeapType::I31), depth);
                if self.c.chance(1, 2) {
                    self.f.op().i31_get_s();
                } else {
                    self.f.op().i31_get_u();
                }
            }
            12 => {
                let which = self.c.below(5);
                self.address(depth);
                let memory = at(self.c.byte() & 7);
                let mut op = self.f.op();
                match which {
                    0 => op.i32_load(memory),
                    1 => op.i32_load8_s(memory),
                    2 => op.i32_load8_u(memory),
                    3 => op.i32_load16_s(memory),
                    _ => op.i32_load16_u(memory),
                };
            }
            13 => {
                let table = self.c.range(OBJECTS as usize, self.p.tables.len() - 1) as u32;
                if self.c.chance(1, 4) {
                    self.f.op().memory_size(0);
                } else {
                    self.f.op().table_size(table);
                }
            }
            14 => {
                self.numeric(ValType::F64, depth);
                let which = self.c.below(3);
                let mut op = self.f.op();
                match which {
                    0 => op.i32_trunc_sat_f64_s(),
                    1 => op.i32_trunc_sat_f64_u(),
                    _ => op.f32_demote_f64().i32_reinterpret_f32(),
                };
            }
            _ => self.read_number(StorageType::Val(ValType::I32), depth),
        }
    }

    fn i64(&mut self, depth: usize) {
        match self.c.below(8) {
            0..=2 => {
                self.numeric(ValType::I64, depth);
                self.numeric(ValType::I64, depth);
                let which = self.c.below(9);
                let mut op = self.f.op();
                match which {
                    0 => op.i64_add(),
                    1 => op.i64_sub(),
                    2 => op.i64_mul(),
                    3 => op.i64_and(),
                    4 => op.i64_or(),
                    5 => op.i64_xor(),
                    6 => op.i64_shl(),
                    7 => op.i64_shr_s(),
                    _ => op.i64_rotl(),
                };
            }
            3 => {
                self.numeric(ValType::I32, depth);
                if self.c.chance(1, 2) {
                    self.f.op().i64_extend_i32_s();
                } else {
                    self.f.op().i64_extend_i32_u();
                }
            }
            4 => {
                self.numeric(ValType::F64, depth);
                if self.c.chance(1, 2) {
                    self.f.op().i64_reinterpret_f64();
                } else {
                    self.f.op().i64_trunc_sat_f64_s();
                }
            }
            5 => {
                self.address(depth);
                let memory = at(0);
                let which = self.c.below(3);
                let mut op = self.f.op();
                match which {
                    0 => op.i64_load(memory),
                    1 => op.i64_load32_s(memory),
                    _ => op.i64_load16_u(memory),
                };
            }
            _ => self.read_number(StorageType::Val(ValType::I64), depth),
        }
    }

    fn f32(&mut self, depth: usize) {
        match self.c.below(5) {
            0 => {
                self.numeric(ValType::F32, depth);
                self.numeric(ValType::F32, depth);
                let which = self.c.below(6);
                let mut op = self.f.op();
                match which {
                    0 => op.f32_add(),
                    1 => op.f32_sub(),
                    2 => op.f32_mul(),
                    3 => op.f32_div(),
                    4 => op.f32_min(),
                    _ => op.f32_copysign(),
                };
            }
            1 => {
                self.numeric(ValType::F32, depth);
                let which = self.c.below(4);
                let mut op = self.f.op();
                match which {
                    0 => op.f32_neg(),
                    1 => op.f32_sqrt(),
                    2 => op.f32_nearest(),
                    _ => op.f32_floor(),
                };
            }
            2 => {
                self.numeric(ValType::I32, depth);
                if self.c.chance(1, 2) {
                    self.f.op().f32_convert_i32_s();
                } else {
                    self.f.op().f32_reinterpret_i32();
                }
            }
            3 => {
                self.numeric(ValType::F64, depth);
                self.f.op().f32_demote_f64();
            }
            _ => self.read_number(StorageType::Val(ValType::F32), depth),
        }
    }

    fn f64(&mut self, depth: usize) {
        match self.c.below(5) {
            0 => {
                self.numeric(ValType::F64, depth);
                self.numeric(ValType::F64, depth);
                let which = self.c.below(6);
                let mut op = self.f.op();
                match which {
                    0 => op.f64_add(),
                    1 => op.f64_sub(),
                    2 => op.f64_mul(),
                    3 => op.f64_div(),
                    4 => op.f64_max(),
                    _ => op.f64_copysign(),
                };
            }
            1 => {
                self.numeric(ValType::F64, depth);
                let which = self.c.below(4);
                let mut op = self.f.op();
                match which {
                    0 => op.f64_abs(),
                    1 => op.f64_sqrt(),
                    2 => op.f64_ceil(),
                    _ => op.f64_trunc(),
                };
            }
            2 => {
                self.numeric(ValType::I64, depth);
                if self.c.chance(1, 2) {
                    self.f.op().f64_convert_i64_u();
                } else {
                    self.f.op().f64_reinterpret_i64();
                }
            }
            3 => {
                self.numeric(ValType::F32, depth);
                self.f.op().f64_promote_f32();
            }
            _ => self.read_number(StorageType::Val(ValType::F64), depth),
        }
    }

    /// An address within [`MEMORY_WINDOW`].
    pub(super) fn address(&mut self, depth: usize) {
        self.numeric(ValType::I32, depth);
        self.f.op().i32_const(MEMORY_WINDOW);
        self.f.op().i32_and();
    }

    /// Reads a field or element of this type, packed ones too where it is an i32.
    fn read_number(&mut self, want: StorageType, depth: usize) {
        let fits = |storage: StorageType| storage.unpack() == want.unpack();
        let mut places = Vec::new();
        for &ty in &self.p.types.structs {
            for (field, def) in self.p.types.fields(ty).iter().enumerate() {
                if fits(def.element_type) {
                    places.push((ty, Some(field as u32)));
                }
            }
        }
        for &ty in &self.p.types.arrays {
            if fits(self.p.types.element(ty).element_type) {
                places.push((ty, None));
            }
        }
        if places.is_empty() {
            return self.number_leaf(want.unpack());
        }
        let (ty, field) = self.c.pick(&places);
        if field.is_none() && self.c.chance(1, 2) {
            let len = self.construct_array(ty, depth, 1);
            self.maybe_hold();
            let index = self.c.below(len as usize) as i32;
            self.known(index);
            return self.array_get(ty);
        }
        self.reference(non_null(HeapType::Concrete(ty)), depth);
        self.maybe_hold();
        match field {
            Some(field) => self.struct_get(ty, field),
            None => self.guarded_get(ty),
        }
    }

    /// Some heap type of the any hierarchy.
    pub(super) fn any_heap_type(&mut self) -> HeapType {
        match self.c.below(12) {
            0 => heap(Abstract::Eq),
            1 => heap(Abstract::I31),
            2 => heap(Abstract::Struct),
            3 => heap(Abstract::Array),
            4 => heap(Abstract::Any),
            5 => heap(Abstract::None),
            6 => HeapType::Concrete(self.c.pick(&self.p.types.arrays)),
            _ => HeapType::Concrete(self.c.pick(&self.p.types.structs)),
        }
    }
}
