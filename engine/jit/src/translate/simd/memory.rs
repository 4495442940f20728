//! Vector loads and stores, on the same addresses, bounds and alias regions as the scalar ones.

use cranelift_codegen::ir::types::{I8X16, I16X8, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use wasmparser::{MemArg, Operator};

use crate::Error;
use crate::translate::FuncTranslator;

/// A load of eight bytes that extends each lane.
type Extending = fn(&mut FuncTranslator<'_>, MemFlagsData, Value, i32) -> Value;

impl FuncTranslator<'_> {
    /// `v128.load8x8_s` and its kin.
    fn load_extended(&mut self, arg: &MemArg, f: Extending) -> Result<(), Error> {
        let (address, offset, flags) = self.memory_address(arg, 8)?;
        let result = f(self, flags, address, offset);
        self.push_vector(result);
        Ok(())
    }

    /// `v128.load*_splat`.
    fn load_splat(&mut self, arg: &MemArg, ty: Type) -> Result<(), Error> {
        let (address, offset, flags) = self.memory_address(arg, ty.lane_type().bytes())?;
        let value = self.b.ins().load(ty.lane_type(), flags, address, offset);
        let result = self.b.ins().splat(ty, value);
        self.push_vector(result);
        Ok(())
    }

    /// `v128.load*_zero`.
    fn load_zero(&mut self, arg: &MemArg, ty: Type) -> Result<(), Error> {
        let (address, offset, flags) = self.memory_address(arg, ty.lane_type().bytes())?;
        let value = self.b.ins().load(ty.lane_type(), flags, address, offset);
        let result = self.b.ins().scalar_to_vector(ty, value);
        self.push_vector(result);
        Ok(())
    }

    /// `v128.load*_lane`.
    fn load_lane(&mut self, arg: &MemArg, ty: Type, lane: u8) -> Result<(), Error> {
        let vector = self.pop_vector(ty);
        let (address, offset, flags) = self.memory_address(arg, ty.lane_type().bytes())?;
        let value = self.b.ins().load(ty.lane_type(), flags, address, offset);
        let result = self.b.ins().insertlane(vector, value, lane);
        self.push_vector(result);
        Ok(())
    }

    /// `v128.store*_lane`.
    fn store_lane(&mut self, arg: &MemArg, ty: Type, lane: u8) -> Result<(), Error> {
        let vector = self.pop_vector(ty);
        let (address, offset, flags) = self.memory_address(arg, ty.lane_type().bytes())?;
        let value = self.b.ins().extractlane(vector, lane);
        self.b.ins().store(flags, value, address, offset);
        Ok(())
    }

    /// Translates `op` if it is of this family; false if not.
    pub(super) fn vector_memory(&mut self, op: &Operator<'_>) -> Result<bool, Error> {
        use Operator as O;
        match op {
            O::V128Load { memarg } => self.load(memarg, I8X16)?,
            O::V128Store { memarg } => self.store_value(memarg, 16)?,

            O::V128Load8x8S { memarg } => {
                self.load_extended(memarg, |t, f, a, o| t.b.ins().sload8x8(f, a, o))?
            }
            O::V128Load8x8U { memarg } => {
                self.load_extended(memarg, |t, f, a, o| t.b.ins().uload8x8(f, a, o))?
            }
            O::V128Load16x4S { memarg } => {
                self.load_extended(memarg, |t, f, a, o| t.b.ins().sload16x4(f, a, o))?
            }
            O::V128Load16x4U { memarg } => {
                self.load_extended(memarg, |t, f, a, o| t.b.ins().uload16x4(f, a, o))?
            }
            O::V128Load32x2S { memarg } => {
                self.load_extended(memarg, |t, f, a, o| t.b.ins().sload32x2(f, a, o))?
            }
            O::V128Load32x2U { memarg } => {
                self.load_extended(memarg, |t, f, a, o| t.b.ins().uload32x2(f, a, o))?
            }

            O::V128Load8Splat { memarg } => self.load_splat(memarg, I8X16)?,
            O::V128Load16Splat { memarg } => self.load_splat(memarg, I16X8)?,
            O::V128Load32Splat { memarg } => self.load_splat(memarg, I32X4)?,
            O::V128Load64Splat { memarg } => self.load_splat(memarg, I64X2)?,
            O::V128Load32Zero { memarg } => self.load_zero(memarg, I32X4)?,
            O::V128Load64Zero { memarg } => self.load_zero(memarg, I64X2)?,

            O::V128Load8Lane { memarg, lane } => self.load_lane(memarg, I8X16, *lane)?,
            O::V128Load16Lane { memarg, lane } => self.load_lane(memarg, I16X8, *lane)?,
            O::V128Load32Lane { memarg, lane } => self.load_lane(memarg, I32X4, *lane)?,
            O::V128Load64Lane { memarg, lane } => self.load_lane(memarg, I64X2, *lane)?,
            O::V128Store8Lane { memarg, lane } => self.store_lane(memarg, I8X16, *lane)?,
            O::V128Store16Lane { memarg, lane } => self.store_lane(memarg, I16X8, *lane)?,
            O::V128Store32Lane { memarg, lane } => self.store_lane(memarg, I32X4, *lane)?,
            O::V128Store64Lane { memarg, lane } => self.store_lane(memarg, I64X2, *lane)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}
