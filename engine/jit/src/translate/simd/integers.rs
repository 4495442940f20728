//! Integer arithmetic, comparisons, shifts and tests by lanes. Shift counts are taken modulo the width of a lane, which
//! Cranelift's shifts do.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8X16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::Operator;

use super::conversions::{Halves, SIGNED, UNSIGNED};
use super::{Binary, Unary};
use crate::translate::FuncTranslator;

impl FuncTranslator<'_> {
    fn compare_lanes(&mut self, ty: Type, cc: IntCC) {
        let b = self.pop_vector(ty);
        let a = self.pop_vector(ty);
        let result = self.b.ins().icmp(cc, a, b);
        self.push_vector(result);
    }

    /// A shift of all lanes by the i32 on the stack.
    fn shift_lanes(&mut self, ty: Type, f: Binary) {
        let count = self.pop();
        let value = self.pop_vector(ty);
        let result = f(self, value, count);
        self.push_vector(result);
    }

    fn all_true(&mut self, ty: Type) {
        let value = self.pop_vector(ty);
        let all = self.b.ins().vall_true(value);
        self.push_bool(all);
    }

    fn bitmask(&mut self, ty: Type) {
        let value = self.pop_vector(ty);
        let mask = self.b.ins().vhigh_bits(I32, value);
        self.push(mask);
    }

    /// `i16x8.q15mulr_sat_s`.
    pub(super) fn q15_multiply(&mut self) {
        self.vector_binary(I16X8, |t, a, b| t.b.ins().sqmul_round_sat(a, b));
    }

    /// `extmul`: the product of one half of the lanes, extended before.
    fn extended_product(&mut self, ty: Type, half: Unary) {
        let b = self.pop_vector(ty);
        let a = self.pop_vector(ty);
        let a = half(self, a);
        let b = half(self, b);
        let result = self.b.ins().imul(a, b);
        self.push_vector(result);
    }

    /// The sums of neighbouring lanes, extended before.
    pub(super) fn pairwise_sums(&mut self, value: Value, halves: Halves) -> Value {
        let low = (halves.low)(self, value);
        let high = (halves.high)(self, value);
        self.b.ins().iadd_pairwise(low, high)
    }

    /// The sums of neighbouring products of sign-extended lanes, wrapping.
    pub(super) fn pairwise_products(&mut self, a: Value, b: Value) -> Value {
        let a_low = (SIGNED.low)(self, a);
        let b_low = (SIGNED.low)(self, b);
        let low = self.b.ins().imul(a_low, b_low);
        let a_high = (SIGNED.high)(self, a);
        let b_high = (SIGNED.high)(self, b);
        let high = self.b.ins().imul(a_high, b_high);
        self.b.ins().iadd_pairwise(low, high)
    }

    /// `extadd_pairwise`.
    fn add_pairwise(&mut self, ty: Type, halves: Halves) {
        let value = self.pop_vector(ty);
        let result = self.pairwise_sums(value, halves);
        self.push_vector(result);
    }

    /// `i32x4.dot_i16x8_s`.
    fn dot_product(&mut self) {
        self.vector_binary(I16X8, |t, a, b| t.pairwise_products(a, b));
    }

    /// Translates `op` if it is of this family; false if not.
    pub(super) fn vector_integers(&mut self, op: &Operator<'_>) -> bool {
        self.integer_comparisons(op) || self.integer_arithmetic(op)
    }

    fn integer_comparisons(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::I8x16Eq => self.compare_lanes(I8X16, IntCC::Equal),
            O::I8x16Ne => self.compare_lanes(I8X16, IntCC::NotEqual),
            O::I8x16LtS => self.compare_lanes(I8X16, IntCC::SignedLessThan),
            O::I8x16LtU => self.compare_lanes(I8X16, IntCC::UnsignedLessThan),
            O::I8x16GtS => self.compare_lanes(I8X16, IntCC::SignedGreaterThan),
            O::I8x16GtU => self.compare_lanes(I8X16, IntCC::UnsignedGreaterThan),
            O::I8x16LeS => self.compare_lanes(I8X16, IntCC::SignedLessThanOrEqual),
            O::I8x16LeU => self.compare_lanes(I8X16, IntCC::UnsignedLessThanOrEqual),
            O::I8x16GeS => self.compare_lanes(I8X16, IntCC::SignedGreaterThanOrEqual),
            O::I8x16GeU => self.compare_lanes(I8X16, IntCC::UnsignedGreaterThanOrEqual),

            O::I16x8Eq => self.compare_lanes(I16X8, IntCC::Equal),
            O::I16x8Ne => self.compare_lanes(I16X8, IntCC::NotEqual),
            O::I16x8LtS => self.compare_lanes(I16X8, IntCC::SignedLessThan),
            O::I16x8LtU => self.compare_lanes(I16X8, IntCC::UnsignedLessThan),
            O::I16x8GtS => self.compare_lanes(I16X8, IntCC::SignedGreaterThan),
            O::I16x8GtU => self.compare_lanes(I16X8, IntCC::UnsignedGreaterThan),
            O::I16x8LeS => self.compare_lanes(I16X8, IntCC::SignedLessThanOrEqual),
            O::I16x8LeU => self.compare_lanes(I16X8, IntCC::UnsignedLessThanOrEqual),
            O::I16x8GeS => self.compare_lanes(I16X8, IntCC::SignedGreaterThanOrEqual),
            O::I16x8GeU => self.compare_lanes(I16X8, IntCC::UnsignedGreaterThanOrEqual),

            O::I32x4Eq => self.compare_lanes(I32X4, IntCC::Equal),
            O::I32x4Ne => self.compare_lanes(I32X4, IntCC::NotEqual),
            O::I32x4LtS => self.compare_lanes(I32X4, IntCC::SignedLessThan),
            O::I32x4LtU => self.compare_lanes(I32X4, IntCC::UnsignedLessThan),
            O::I32x4GtS => self.compare_lanes(I32X4, IntCC::SignedGreaterThan),
            O::I32x4GtU => self.compare_lanes(I32X4, IntCC::UnsignedGreaterThan),
            O::I32x4LeS => self.compare_lanes(I32X4, IntCC::SignedLessThanOrEqual),
            O::I32x4LeU => self.compare_lanes(I32X4, IntCC::UnsignedLessThanOrEqual),
            O::I32x4GeS => self.compare_lanes(I32X4, IntCC::SignedGreaterThanOrEqual),
            O::I32x4GeU => self.compare_lanes(I32X4, IntCC::UnsignedGreaterThanOrEqual),

            O::I64x2Eq => self.compare_lanes(I64X2, IntCC::Equal),
            O::I64x2Ne => self.compare_lanes(I64X2, IntCC::NotEqual),
            O::I64x2LtS => self.compare_lanes(I64X2, IntCC::SignedLessThan),
            O::I64x2GtS => self.compare_lanes(I64X2, IntCC::SignedGreaterThan),
            O::I64x2LeS => self.compare_lanes(I64X2, IntCC::SignedLessThanOrEqual),
            O::I64x2GeS => self.compare_lanes(I64X2, IntCC::SignedGreaterThanOrEqual),
            _ => return false,
        }
        true
    }

    fn integer_arithmetic(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::I8x16Abs => self.vector_unary(I8X16, |t, a| t.b.ins().iabs(a)),
            O::I8x16Neg => self.vector_unary(I8X16, |t, a| t.b.ins().ineg(a)),
            O::I8x16Popcnt => self.vector_unary(I8X16, |t, a| t.b.ins().popcnt(a)),
            O::I8x16AllTrue => self.all_true(I8X16),
            O::I8x16Bitmask => self.bitmask(I8X16),
            O::I8x16Shl => self.shift_lanes(I8X16, |t, a, n| t.b.ins().ishl(a, n)),
            O::I8x16ShrS => self.shift_lanes(I8X16, |t, a, n| t.b.ins().sshr(a, n)),
            O::I8x16ShrU => self.shift_lanes(I8X16, |t, a, n| t.b.ins().ushr(a, n)),
            O::I8x16Add => self.vector_binary(I8X16, |t, a, b| t.b.ins().iadd(a, b)),
            O::I8x16Sub => self.vector_binary(I8X16, |t, a, b| t.b.ins().isub(a, b)),
            O::I8x16AddSatS => self.vector_binary(I8X16, |t, a, b| t.b.ins().sadd_sat(a, b)),
            O::I8x16AddSatU => self.vector_binary(I8X16, |t, a, b| t.b.ins().uadd_sat(a, b)),
            O::I8x16SubSatS => self.vector_binary(I8X16, |t, a, b| t.b.ins().ssub_sat(a, b)),
            O::I8x16SubSatU => self.vector_binary(I8X16, |t, a, b| t.b.ins().usub_sat(a, b)),
            O::I8x16MinS => self.vector_binary(I8X16, |t, a, b| t.b.ins().smin(a, b)),
            O::I8x16MinU => self.vector_binary(I8X16, |t, a, b| t.b.ins().umin(a, b)),
            O::I8x16MaxS => self.vector_binary(I8X16, |t, a, b| t.b.ins().smax(a, b)),
            O::I8x16MaxU => self.vector_binary(I8X16, |t, a, b| t.b.ins().umax(a, b)),
            O::I8x16AvgrU => self.vector_binary(I8X16, |t, a, b| t.b.ins().avg_round(a, b)),

            O::I16x8Abs => self.vector_unary(I16X8, |t, a| t.b.ins().iabs(a)),
            O::I16x8Neg => self.vector_unary(I16X8, |t, a| t.b.ins().ineg(a)),
            O::I16x8AllTrue => self.all_true(I16X8),
            O::I16x8Bitmask => self.bitmask(I16X8),
            O::I16x8Shl => self.shift_lanes(I16X8, |t, a, n| t.b.ins().ishl(a, n)),
            O::I16x8ShrS => self.shift_lanes(I16X8, |t, a, n| t.b.ins().sshr(a, n)),
            O::I16x8ShrU => self.shift_lanes(I16X8, |t, a, n| t.b.ins().ushr(a, n)),
            O::I16x8Add => self.vector_binary(I16X8, |t, a, b| t.b.ins().iadd(a, b)),
            O::I16x8Sub => self.vector_binary(I16X8, |t, a, b| t.b.ins().isub(a, b)),
            O::I16x8Mul => self.vector_binary(I16X8, |t, a, b| t.b.ins().imul(a, b)),
            O::I16x8AddSatS => self.vector_binary(I16X8, |t, a, b| t.b.ins().sadd_sat(a, b)),
            O::I16x8AddSatU => self.vector_binary(I16X8, |t, a, b| t.b.ins().uadd_sat(a, b)),
            O::I16x8SubSatS => self.vector_binary(I16X8, |t, a, b| t.b.ins().ssub_sat(a, b)),
            O::I16x8SubSatU => self.vector_binary(I16X8, |t, a, b| t.b.ins().usub_sat(a, b)),
            O::I16x8MinS => self.vector_binary(I16X8, |t, a, b| t.b.ins().smin(a, b)),
            O::I16x8MinU => self.vector_binary(I16X8, |t, a, b| t.b.ins().umin(a, b)),
            O::I16x8MaxS => self.vector_binary(I16X8, |t, a, b| t.b.ins().smax(a, b)),
            O::I16x8MaxU => self.vector_binary(I16X8, |t, a, b| t.b.ins().umax(a, b)),
            O::I16x8AvgrU => self.vector_binary(I16X8, |t, a, b| t.b.ins().avg_round(a, b)),
            O::I16x8Q15MulrSatS => self.q15_multiply(),

            O::I32x4Abs => self.vector_unary(I32X4, |t, a| t.b.ins().iabs(a)),
            O::I32x4Neg => self.vector_unary(I32X4, |t, a| t.b.ins().ineg(a)),
            O::I32x4AllTrue => self.all_true(I32X4),
            O::I32x4Bitmask => self.bitmask(I32X4),
            O::I32x4Shl => self.shift_lanes(I32X4, |t, a, n| t.b.ins().ishl(a, n)),
            O::I32x4ShrS => self.shift_lanes(I32X4, |t, a, n| t.b.ins().sshr(a, n)),
            O::I32x4ShrU => self.shift_lanes(I32X4, |t, a, n| t.b.ins().ushr(a, n)),
            O::I32x4Add => self.vector_binary(I32X4, |t, a, b| t.b.ins().iadd(a, b)),
            O::I32x4Sub => self.vector_binary(I32X4, |t, a, b| t.b.ins().isub(a, b)),
            O::I32x4Mul => self.vector_binary(I32X4, |t, a, b| t.b.ins().imul(a, b)),
            O::I32x4MinS => self.vector_binary(I32X4, |t, a, b| t.b.ins().smin(a, b)),
            O::I32x4MinU => self.vector_binary(I32X4, |t, a, b| t.b.ins().umin(a, b)),
            O::I32x4MaxS => self.vector_binary(I32X4, |t, a, b| t.b.ins().smax(a, b)),
            O::I32x4MaxU => self.vector_binary(I32X4, |t, a, b| t.b.ins().umax(a, b)),

            O::I64x2Abs => self.vector_unary(I64X2, |t, a| t.b.ins().iabs(a)),
            O::I64x2Neg => self.vector_unary(I64X2, |t, a| t.b.ins().ineg(a)),
            O::I64x2AllTrue => self.all_true(I64X2),
            O::I64x2Bitmask => self.bitmask(I64X2),
            O::I64x2Shl => self.shift_lanes(I64X2, |t, a, n| t.b.ins().ishl(a, n)),
            O::I64x2ShrS => self.shift_lanes(I64X2, |t, a, n| t.b.ins().sshr(a, n)),
            O::I64x2ShrU => self.shift_lanes(I64X2, |t, a, n| t.b.ins().ushr(a, n)),
            O::I64x2Add => self.vector_binary(I64X2, |t, a, b| t.b.ins().iadd(a, b)),
            O::I64x2Sub => self.vector_binary(I64X2, |t, a, b| t.b.ins().isub(a, b)),
            O::I64x2Mul => self.vector_binary(I64X2, |t, a, b| t.b.ins().imul(a, b)),

            O::I16x8ExtAddPairwiseI8x16S => self.add_pairwise(I8X16, SIGNED),
            O::I16x8ExtMulLowI8x16S => self.extended_product(I8X16, SIGNED.low),
            O::I16x8ExtMulHighI8x16S => self.extended_product(I8X16, SIGNED.high),
            O::I16x8ExtAddPairwiseI8x16U => self.add_pairwise(I8X16, UNSIGNED),
            O::I16x8ExtMulLowI8x16U => self.extended_product(I8X16, UNSIGNED.low),
            O::I16x8ExtMulHighI8x16U => self.extended_product(I8X16, UNSIGNED.high),
            O::I32x4ExtAddPairwiseI16x8S => self.add_pairwise(I16X8, SIGNED),
            O::I32x4ExtMulLowI16x8S => self.extended_product(I16X8, SIGNED.low),
            O::I32x4ExtMulHighI16x8S => self.extended_product(I16X8, SIGNED.high),
            O::I32x4ExtAddPairwiseI16x8U => self.add_pairwise(I16X8, UNSIGNED),
            O::I32x4ExtMulLowI16x8U => self.extended_product(I16X8, UNSIGNED.low),
            O::I32x4ExtMulHighI16x8U => self.extended_product(I16X8, UNSIGNED.high),
            O::I64x2ExtMulLowI32x4S => self.extended_product(I32X4, SIGNED.low),
            O::I64x2ExtMulHighI32x4S => self.extended_product(I32X4, SIGNED.high),
            O::I64x2ExtMulLowI32x4U => self.extended_product(I32X4, UNSIGNED.low),
            O::I64x2ExtMulHighI32x4U => self.extended_product(I32X4, UNSIGNED.high),
            O::I32x4DotI16x8S => self.dot_product(),
            _ => return false,
        }
        true
    }
}
