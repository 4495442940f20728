//! Relaxed operations (spec "Relaxed Operations") as the deterministic profile has them: every parameter R is 0, the
//! first of the listed results. So most of them are the fixed-width instruction that they relax; multiply-add rounds
//! twice, and the second operand of the dot product is signed.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16, I16X8, I32X4};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::Operator;

use super::conversions::SIGNED;
use crate::translate::FuncTranslator;

impl FuncTranslator<'_> {
    /// `relaxed_madd`: `a * b + c`, and `relaxed_nmadd`: `-a * b + c`; not fused.
    fn multiply_add(&mut self, ty: Type, negate: bool) {
        let c = self.pop_vector(ty);
        let b = self.pop_vector(ty);
        let mut a = self.pop_vector(ty);
        if negate {
            a = self.b.ins().fneg(a);
        }
        let product = self.b.ins().fmul(a, b);
        let sum = self.b.ins().fadd(product, c);
        self.push_vector(sum);
    }

    /// The saturating sums of neighbouring products of signed bytes. Only one sum overflows, 2 * (-128 * -128), and
    /// wraps to -32,768, which no other pair gives.
    fn byte_products(&mut self, a: Value, b: Value) -> Value {
        let sums = self.pairwise_products(a, b);
        let least = self.b.ins().iconst(I16, i64::from(i16::MIN as u16));
        let least = self.b.ins().splat(I16X8, least);
        let wrapped = self.b.ins().icmp(IntCC::Equal, sums, least);
        self.b.ins().bxor(sums, wrapped)
    }

    /// `i32x4.relaxed_dot_i8x16_i7x16_add_s`.
    fn byte_products_add(&mut self) {
        let c = self.pop_vector(I32X4);
        let b = self.pop();
        let a = self.pop();
        let products = self.byte_products(a, b);
        let sums = self.pairwise_sums(products, SIGNED);
        let result = self.b.ins().iadd(sums, c);
        self.push_vector(result);
    }

    /// Translates `op` if it is of this family; false if not.
    pub(super) fn relaxed_vectors(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::I8x16RelaxedSwizzle => self.swizzle(),
            O::I32x4RelaxedTruncF32x4S => self.truncate_f32x4(true),
            O::I32x4RelaxedTruncF32x4U => self.truncate_f32x4(false),
            O::I32x4RelaxedTruncF64x2SZero => self.truncate_f64x2(true),
            O::I32x4RelaxedTruncF64x2UZero => self.truncate_f64x2(false),
            O::F32x4RelaxedMadd => self.multiply_add(F32X4, false),
            O::F32x4RelaxedNmadd => self.multiply_add(F32X4, true),
            O::F64x2RelaxedMadd => self.multiply_add(F64X2, false),
            O::F64x2RelaxedNmadd => self.multiply_add(F64X2, true),
            O::I8x16RelaxedLaneselect
            | O::I16x8RelaxedLaneselect
            | O::I32x4RelaxedLaneselect
            | O::I64x2RelaxedLaneselect => self.vector_select(),
            O::F32x4RelaxedMin => self.minimum(F32X4),
            O::F32x4RelaxedMax => self.maximum(F32X4),
            O::F64x2RelaxedMin => self.minimum(F64X2),
            O::F64x2RelaxedMax => self.maximum(F64X2),
            O::I16x8RelaxedQ15mulrS => self.q15_multiply(),
            O::I16x8RelaxedDotI8x16I7x16S => self.vector_binary(I8X16, |t, a, b| t.byte_products(a, b)),
            O::I32x4RelaxedDotI8x16I7x16AddS => self.byte_products_add(),
            _ => return false,
        }
        true
    }
}
