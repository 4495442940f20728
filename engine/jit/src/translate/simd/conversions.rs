//! Conversions between shapes: integers to narrower and wider ones, and between integers and floats. `demote` and
//! `promote` give canonical NaNs, by Cranelift's pass.

use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type};
use wasmparser::Operator;

use super::Unary;
use crate::translate::FuncTranslator;

/// The lower and the upper half of the lanes of a vector, extended.
#[derive(Clone, Copy)]
pub(super) struct Halves {
    pub(super) low: Unary,
    pub(super) high: Unary,
}

/// Sign-extended.
pub(super) const SIGNED: Halves =
    Halves { low: |t, a| t.b.ins().swiden_low(a), high: |t, a| t.b.ins().swiden_high(a) };
/// Zero-extended.
pub(super) const UNSIGNED: Halves =
    Halves { low: |t, a| t.b.ins().uwiden_low(a), high: |t, a| t.b.ins().uwiden_high(a) };

impl FuncTranslator<'_> {
    /// `i32x4.trunc_sat_f32x4`.
    pub(super) fn truncate_f32x4(&mut self, signed: bool) {
        let value = self.pop_vector(F32X4);
        let result = if signed {
            self.b.ins().fcvt_to_sint_sat(I32X4, value)
        } else {
            self.b.ins().fcvt_to_uint_sat(I32X4, value)
        };
        self.push_vector(result);
    }

    /// `i32x4.trunc_sat_f64x2_zero`. Saturation to 64 and then to 32 bits is saturation to 32 bits; Cranelift knows the
    /// two instructions together only.
    pub(super) fn truncate_f64x2(&mut self, signed: bool) {
        let value = self.pop_vector(F64X2);
        let zero = self.vector_constant(I64X2, 0);
        let result = if signed {
            let wide = self.b.ins().fcvt_to_sint_sat(I64X2, value);
            self.b.ins().snarrow(wide, zero)
        } else {
            let wide = self.b.ins().fcvt_to_uint_sat(I64X2, value);
            self.b.ins().uunarrow(wide, zero)
        };
        self.push_vector(result);
    }

    /// `f32x4.convert_i32x4` and `f64x2.convert_low_i32x4`, which extends the two low lanes before.
    fn convert_i32x4(&mut self, to: Type, signed: bool) {
        let mut value = self.pop_vector(I32X4);
        if to == F64X2 {
            value = (if signed { SIGNED } else { UNSIGNED }.low)(self, value);
        }
        let result = if signed {
            self.b.ins().fcvt_from_sint(to, value)
        } else {
            self.b.ins().fcvt_from_uint(to, value)
        };
        self.push_vector(result);
    }

    /// Translates `op` if it is of this family; false if not.
    pub(super) fn vector_conversions(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::I8x16NarrowI16x8S => self.vector_binary(I16X8, |t, a, b| t.b.ins().snarrow(a, b)),
            O::I8x16NarrowI16x8U => self.vector_binary(I16X8, |t, a, b| t.b.ins().unarrow(a, b)),
            O::I16x8NarrowI32x4S => self.vector_binary(I32X4, |t, a, b| t.b.ins().snarrow(a, b)),
            O::I16x8NarrowI32x4U => self.vector_binary(I32X4, |t, a, b| t.b.ins().unarrow(a, b)),

            O::I16x8ExtendLowI8x16S => self.vector_unary(I8X16, SIGNED.low),
            O::I16x8ExtendHighI8x16S => self.vector_unary(I8X16, SIGNED.high),
            O::I16x8ExtendLowI8x16U => self.vector_unary(I8X16, UNSIGNED.low),
            O::I16x8ExtendHighI8x16U => self.vector_unary(I8X16, UNSIGNED.high),
            O::I32x4ExtendLowI16x8S => self.vector_unary(I16X8, SIGNED.low),
            O::I32x4ExtendHighI16x8S => self.vector_unary(I16X8, SIGNED.high),
            O::I32x4ExtendLowI16x8U => self.vector_unary(I16X8, UNSIGNED.low),
            O::I32x4ExtendHighI16x8U => self.vector_unary(I16X8, UNSIGNED.high),
            O::I64x2ExtendLowI32x4S => self.vector_unary(I32X4, SIGNED.low),
            O::I64x2ExtendHighI32x4S => self.vector_unary(I32X4, SIGNED.high),
            O::I64x2ExtendLowI32x4U => self.vector_unary(I32X4, UNSIGNED.low),
            O::I64x2ExtendHighI32x4U => self.vector_unary(I32X4, UNSIGNED.high),

            O::I32x4TruncSatF32x4S => self.truncate_f32x4(true),
            O::I32x4TruncSatF32x4U => self.truncate_f32x4(false),
            O::I32x4TruncSatF64x2SZero => self.truncate_f64x2(true),
            O::I32x4TruncSatF64x2UZero => self.truncate_f64x2(false),
            O::F32x4ConvertI32x4S => self.convert_i32x4(F32X4, true),
            O::F32x4ConvertI32x4U => self.convert_i32x4(F32X4, false),
            O::F64x2ConvertLowI32x4S => self.convert_i32x4(F64X2, true),
            O::F64x2ConvertLowI32x4U => self.convert_i32x4(F64X2, false),
            O::F32x4DemoteF64x2Zero => self.vector_unary(F64X2, |t, a| t.b.ins().fvdemote(a)),
            O::F64x2PromoteLowF32x4 => self.vector_unary(F32X4, |t, a| t.b.ins().fvpromote_low(a)),
            _ => return false,
        }
        true
    }
}
