//! Float arithmetic and comparisons by lanes. Arithmetic gives the canonical NaN in each lane, by Cranelift's pass
//! (`enable_nan_canonicalization`), which covers vectors; `abs`, `neg`, `pmin` and `pmax` keep bits.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::types::{F32X4, F64X2};
use cranelift_codegen::ir::{InstBuilder, Type};
use wasmparser::Operator;

use crate::translate::FuncTranslator;

impl FuncTranslator<'_> {
    fn compare_float_lanes(&mut self, ty: Type, cc: FloatCC) {
        let b = self.pop_vector(ty);
        let a = self.pop_vector(ty);
        let result = self.b.ins().fcmp(cc, a, b);
        self.push_vector(result);
    }

    /// `pmin`: b where b < a, else a; so an operand itself, NaN bits included. `pmax`: b where a < b.
    fn pseudo_extremum(&mut self, ty: Type, min: bool) {
        let b = self.pop_vector(ty);
        let a = self.pop_vector(ty);
        let (less, more) = if min { (b, a) } else { (a, b) };
        let take_b = self.b.ins().fcmp(FloatCC::LessThan, less, more);
        let take_b = self.vector_as(ty, take_b);
        let result = self.b.ins().bitselect(take_b, b, a);
        self.push_vector(result);
    }

    /// `min` of the lanes of type `ty`: NaN if either is one, -0 below +0.
    pub(super) fn minimum(&mut self, ty: Type) {
        self.vector_binary(ty, |t, a, b| t.b.ins().fmin(a, b));
    }

    /// `max` of the lanes of type `ty`.
    pub(super) fn maximum(&mut self, ty: Type) {
        self.vector_binary(ty, |t, a, b| t.b.ins().fmax(a, b));
    }

    /// Translates `op` if it is of this family; false if not.
    pub(super) fn vector_floats(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::F32x4Eq => self.compare_float_lanes(F32X4, FloatCC::Equal),
            O::F32x4Ne => self.compare_float_lanes(F32X4, FloatCC::NotEqual),
            O::F32x4Lt => self.compare_float_lanes(F32X4, FloatCC::LessThan),
            O::F32x4Gt => self.compare_float_lanes(F32X4, FloatCC::GreaterThan),
            O::F32x4Le => self.compare_float_lanes(F32X4, FloatCC::LessThanOrEqual),
            O::F32x4Ge => self.compare_float_lanes(F32X4, FloatCC::GreaterThanOrEqual),
            O::F64x2Eq => self.compare_float_lanes(F64X2, FloatCC::Equal),
            O::F64x2Ne => self.compare_float_lanes(F64X2, FloatCC::NotEqual),
            O::F64x2Lt => self.compare_float_lanes(F64X2, FloatCC::LessThan),
            O::F64x2Gt => self.compare_float_lanes(F64X2, FloatCC::GreaterThan),
            O::F64x2Le => self.compare_float_lanes(F64X2, FloatCC::LessThanOrEqual),
            O::F64x2Ge => self.compare_float_lanes(F64X2, FloatCC::GreaterThanOrEqual),

            O::F32x4Ceil => self.vector_unary(F32X4, |t, a| t.b.ins().ceil(a)),
            O::F32x4Floor => self.vector_unary(F32X4, |t, a| t.b.ins().floor(a)),
            O::F32x4Trunc => self.vector_unary(F32X4, |t, a| t.b.ins().trunc(a)),
            O::F32x4Nearest => self.vector_unary(F32X4, |t, a| t.b.ins().nearest(a)),
            O::F32x4Abs => self.vector_unary(F32X4, |t, a| t.b.ins().fabs(a)),
            O::F32x4Neg => self.vector_unary(F32X4, |t, a| t.b.ins().fneg(a)),
            O::F32x4Sqrt => self.vector_unary(F32X4, |t, a| t.b.ins().sqrt(a)),
            O::F32x4Add => self.vector_binary(F32X4, |t, a, b| t.b.ins().fadd(a, b)),
            O::F32x4Sub => self.vector_binary(F32X4, |t, a, b| t.b.ins().fsub(a, b)),
            O::F32x4Mul => self.vector_binary(F32X4, |t, a, b| t.b.ins().fmul(a, b)),
            O::F32x4Div => self.vector_binary(F32X4, |t, a, b| t.b.ins().fdiv(a, b)),
            O::F32x4Min => self.minimum(F32X4),
            O::F32x4Max => self.maximum(F32X4),
            O::F32x4PMin => self.pseudo_extremum(F32X4, true),
            O::F32x4PMax => self.pseudo_extremum(F32X4, false),

            O::F64x2Ceil => self.vector_unary(F64X2, |t, a| t.b.ins().ceil(a)),
            O::F64x2Floor => self.vector_unary(F64X2, |t, a| t.b.ins().floor(a)),
            O::F64x2Trunc => self.vector_unary(F64X2, |t, a| t.b.ins().trunc(a)),
            O::F64x2Nearest => self.vector_unary(F64X2, |t, a| t.b.ins().nearest(a)),
            O::F64x2Abs => self.vector_unary(F64X2, |t, a| t.b.ins().fabs(a)),
            O::F64x2Neg => self.vector_unary(F64X2, |t, a| t.b.ins().fneg(a)),
            O::F64x2Sqrt => self.vector_unary(F64X2, |t, a| t.b.ins().sqrt(a)),
            O::F64x2Add => self.vector_binary(F64X2, |t, a, b| t.b.ins().fadd(a, b)),
            O::F64x2Sub => self.vector_binary(F64X2, |t, a, b| t.b.ins().fsub(a, b)),
            O::F64x2Mul => self.vector_binary(F64X2, |t, a, b| t.b.ins().fmul(a, b)),
            O::F64x2Div => self.vector_binary(F64X2, |t, a, b| t.b.ins().fdiv(a, b)),
            O::F64x2Min => self.minimum(F64X2),
            O::F64x2Max => self.maximum(F64X2),
            O::F64x2PMin => self.pseudo_extremum(F64X2, true),
            O::F64x2PMax => self.pseudo_extremum(F64X2, false),
            _ => return false,
        }
        true
    }
}
