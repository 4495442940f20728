//! Operands that are known and come about in many ways: what folds constants knows some of them and not others, values live across calls and
//! blocks, and each instruction is reached behind different ones.

use wasm_encoder::{BlockType, HeapType, Ieee64, RefType, ValType};

use super::Generator;
use super::program::{FUNCTIONS, OBJECTS, TICK};
use super::types::non_null;

/// Longest array that is made for its length.
const LONGEST: i32 = 24;

impl Generator<'_, '_> {
    /// An i32 of this value.
    pub(super) fn known(&mut self, value: i32) {
        if !self.f.room() {
            self.f.op().i32_const(value);
            return;
        }
        match self.c.below(24) {
            0 => {
                let by = self.c.i32();
                self.f.op().i32_const(value.wrapping_sub(by)).i32_const(by).i32_add();
            }
            1 => {
                let by = self.c.i32();
                self.f.op().i32_const(value.wrapping_add(by)).i32_const(by).i32_sub();
            }
            2 => {
                let by = self.c.i32();
                self.f.op().i32_const(value ^ by).i32_const(by).i32_xor();
            }
            3 => {
                let high = i64::from(self.c.i32()) << 32;
                self.f.op().i64_const(high | i64::from(value as u32)).i32_wrap_i64();
            }
            4 => {
                let other = self.c.i32();
                self.f.op().i32_const(other).i32_const(value).i32_const(0).select();
            }
            5 if value << 1 >> 1 == value => {
                self.f.op().i32_const(value).ref_i31().i31_get_s();
            }
            6 if (0..LONGEST).contains(&value) => {
                self.f.op().i32_const(value).array_new_default(self.p.types.any_array).array_len();
            }
            7 => {
                self.f.op().block(BlockType::Result(ValType::I32)).i32_const(value).end();
            }
            8 => {
                self.f.op().f64_const(Ieee64::from(f64::from(value))).i32_trunc_sat_f64_s();
            }
            9 if value == 0 || value == 1 => {
                self.f.op().i32_const(1 - value).i32_eqz();
            }
            10 => {
                self.f.op().i32_const(value);
                self.hold();
            }
            _ => {
                self.f.op().i32_const(value);
            }
        }
        if self.c.chance(1, 3) {
            self.same_number();
        }
    }

    /// Leaves the i32 on the stack what it is.
    pub(super) fn same_number(&mut self) {
        let which = self.c.below(10);
        if which == 0 {
            let local = self.f.scratch(ValType::I32);
            self.f.op().local_tee(local);
            return;
        }
        let mut op = self.f.op();
        match which {
            1 => op.i32_const(0).i32_add(),
            2 => op.i32_const(0).i32_sub(),
            3 => op.i32_const(0).i32_or(),
            4 => op.i32_const(32).i32_shl(),
            5 => op.i32_const(64).i32_rotr(),
            6 => op.i32_const(-1).i32_and(),
            7 => op.i32_const(1).i32_mul(),
            8 => op.i32_const(1).i32_div_u(),
            _ => op.i64_extend_i32_s().i32_wrap_i64(),
        };
    }

    /// Leaves the reference of type `ty` on the stack what it is.
    pub(super) fn same_reference(&mut self, ty: RefType) {
        let value = ValType::Ref(ty);
        match self.c.below(8) {
            0 => {
                let local = self.f.scratch(ValType::Ref(RefType { nullable: true, ..ty }));
                self.f.op().local_tee(local);
                if !ty.nullable {
                    self.f.op().ref_as_non_null();
                }
            }
            1 => {
                let carried = BlockType::FunctionType(self.p.types.function(&[value], &[value]));
                self.f.op().block(carried).end();
            }
            2 | 3 if ty.nullable => {
                self.f.op().ref_null(ty.heap_type);
                let condition = self.c.i32() | 1;
                self.known(condition);
                self.f.op().typed_select(value);
            }
            2 | 3 => {
                self.f.op().ref_as_non_null();
            }
            4 | 5 => self.hold(),
            _ => {}
        }
    }

    /// An instruction behind one that does not come back: its operands are of any type, and it leaves nothing.
    pub(super) fn dead_code(&mut self) {
        let (node, key, any_array) = (self.p.types.node, self.p.types.key, self.p.types.any_array);
        let ty = self.any_heap_type();
        let which = self.c.below(24);
        let mut op = self.f.op();
        match which {
            0 => op.nop(),
            1 => op.drop(),
            2 => op.i32_add().drop(),
            3 => op.i64_eqz().drop(),
            4 => op.ref_is_null().drop(),
            5 => op.array_len().drop(),
            6 => op.i31_get_u().drop(),
            7 => op.struct_get(node, key).drop(),
            8 => op.struct_set(node, key),
            9 => op.array_get(any_array).drop(),
            10 => op.array_set(any_array),
            11 => op.ref_eq().drop(),
            12 => op.ref_as_non_null().drop(),
            13 => op.select().drop(),
            14 => op.table_get(OBJECTS).drop(),
            15 => op.return_(),
            16 => op.unreachable(),
            17 => op.struct_new(node).drop(),
            18 => op.extern_convert_any().drop(),
            19 => op.ref_test_nullable(ty).drop(),
            20 => op.ref_cast_non_null(ty).drop(),
            21 => op.global_set(TICK),
            22 => op.array_copy(any_array, any_array),
            _ => return,
        };
    }

    /// A reference to this function of a table, of its own type.
    pub(super) fn function_value(&mut self, function: u32, slot: usize) {
        let ty = non_null(HeapType::Concrete(self.p.function(function).ty));
        if self.c.chance(1, 3) {
            self.f.by_slot.push(function);
            self.known(slot as i32);
            self.f.op().table_get(FUNCTIONS).ref_cast_non_null(ty.heap_type);
        } else {
            self.f.op().ref_func(function);
        }
        self.same_reference(ty);
    }
}
