//! Constants, splats, access to lanes, and permutations of bytes. All of them keep bits.

use cranelift_codegen::ir::types::{F32X4, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{ConstantData, InstBuilder, Type};
use wasmparser::Operator;

use crate::translate::FuncTranslator;

impl FuncTranslator<'_> {
    /// `splat` into `ty`; an i32 is cut off to narrow lanes.
    fn splat(&mut self, ty: Type) {
        let value = self.pop();
        let value = match ty.lane_type() {
            lane @ (I8 | I16) => self.b.ins().ireduce(lane, value),
            _ => value,
        };
        let result = self.b.ins().splat(ty, value);
        self.push_vector(result);
    }

    /// `extract_lane` without extension.
    fn extract(&mut self, ty: Type, lane: u8) {
        let vector = self.pop_vector(ty);
        let value = self.b.ins().extractlane(vector, lane);
        self.push(value);
    }

    /// `extract_lane` of a lane that is narrower than its result.
    fn extract_narrow(&mut self, ty: Type, lane: u8, signed: bool) {
        let vector = self.pop_vector(ty);
        let value = self.b.ins().extractlane(vector, lane);
        let value = if signed { self.b.ins().sextend(I32, value) } else { self.b.ins().uextend(I32, value) };
        self.push(value);
    }

    /// `replace_lane`.
    fn replace(&mut self, ty: Type, lane: u8) {
        let value = self.pop();
        let vector = self.pop_vector(ty);
        let value = match ty.lane_type() {
            lane @ (I8 | I16) => self.b.ins().ireduce(lane, value),
            _ => value,
        };
        let result = self.b.ins().insertlane(vector, value, lane);
        self.push_vector(result);
    }

    /// `i8x16.shuffle`.
    fn shuffle(&mut self, lanes: &[u8; 16]) {
        let lanes = self.b.func.dfg.immediates.push(ConstantData::from(&lanes[..]));
        let b = self.pop();
        let a = self.pop();
        let result = self.b.ins().shuffle(a, b, lanes);
        self.push(result);
    }

    /// `i8x16.swizzle`: bytes by index, zero for an index above 15.
    pub(super) fn swizzle(&mut self) {
        self.vector_binary(I8X16, |t, a, b| t.b.ins().swizzle(a, b));
    }

    /// Translates `op` if it is of this family; false if not.
    pub(super) fn vector_lanes(&mut self, op: &Operator<'_>) -> bool {
        use Operator as O;
        match op {
            O::V128Const { value } => {
                let value = self.vector_constant(I8X16, u128::from_le_bytes(*value.bytes()));
                self.push(value);
            }
            O::I8x16Shuffle { lanes } => self.shuffle(lanes),
            O::I8x16Swizzle => self.swizzle(),

            O::I8x16Splat => self.splat(I8X16),
            O::I16x8Splat => self.splat(I16X8),
            O::I32x4Splat => self.splat(I32X4),
            O::I64x2Splat => self.splat(I64X2),
            O::F32x4Splat => self.splat(F32X4),
            O::F64x2Splat => self.splat(F64X2),

            O::I8x16ExtractLaneS { lane } => self.extract_narrow(I8X16, *lane, true),
            O::I8x16ExtractLaneU { lane } => self.extract_narrow(I8X16, *lane, false),
            O::I16x8ExtractLaneS { lane } => self.extract_narrow(I16X8, *lane, true),
            O::I16x8ExtractLaneU { lane } => self.extract_narrow(I16X8, *lane, false),
            O::I32x4ExtractLane { lane } => self.extract(I32X4, *lane),
            O::I64x2ExtractLane { lane } => self.extract(I64X2, *lane),
            O::F32x4ExtractLane { lane } => self.extract(F32X4, *lane),
            O::F64x2ExtractLane { lane } => self.extract(F64X2, *lane),

            O::I8x16ReplaceLane { lane } => self.replace(I8X16, *lane),
            O::I16x8ReplaceLane { lane } => self.replace(I16X8, *lane),
            O::I32x4ReplaceLane { lane } => self.replace(I32X4, *lane),
            O::I64x2ReplaceLane { lane } => self.replace(I64X2, *lane),
            O::F32x4ReplaceLane { lane } => self.replace(F32X4, *lane),
            O::F64x2ReplaceLane { lane } => self.replace(F64X2, *lane),
            _ => return false,
        }
        true
    }
}
