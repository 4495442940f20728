//! Vector instructions (everything behind the prefix 0xFD), one file per family: `memory`, `lanes` (constants, splats,
//! lane access, shuffles), `bits`, `integers`, `floats`, `conversions` and `relaxed`.
//!
//! Invariant: a v128 on the value stack, in a local, at a block's parameter or in a call has the CLIF type `I8X16`. An
//! instruction sees it in the shape that it computes with by a little-endian bit cast, and casts its result back
//! ([`FuncTranslator::pop_vector`], [`FuncTranslator::push_vector`]). A cast costs no machine code, and a chain of
//! instructions of one shape looks through the casts between them.
//!
//! Nothing here depends on what the processor offers, so results do not either: no instruction is chosen that Cranelift
//! lacks on a processor with SSSE3 and SSE4.1, which the engine demands.

mod bits;
mod conversions;
mod floats;
mod integers;
mod lanes;
mod memory;
mod relaxed;

use cranelift_codegen::ir::types::I8X16;
use cranelift_codegen::ir::{ConstantData, Endianness, InstBuilder, InstructionData, MemFlagsData, Opcode};
use cranelift_codegen::ir::{Type, Value};
use wasmparser::Operator;

use super::FuncTranslator;
use crate::Error;

/// An instruction that takes one value and gives one.
type Unary = fn(&mut FuncTranslator<'_>, Value) -> Value;
/// An instruction that takes two values and gives one.
type Binary = fn(&mut FuncTranslator<'_>, Value, Value) -> Value;

impl FuncTranslator<'_> {
    /// Translates `op` if it is a vector instruction; false if not.
    ///
    /// # Errors
    /// `Internal` for a memory access without memory.
    pub(super) fn translate_simd(&mut self, op: &Operator<'_>) -> Result<bool, Error> {
        Ok(self.vector_lanes(op)
            || self.vector_integers(op)
            || self.vector_floats(op)
            || self.vector_bits(op)
            || self.vector_conversions(op)
            || self.relaxed_vectors(op)
            || self.vector_memory(op)?)
    }

    /// A constant of the vector type `ty`.
    pub(crate) fn vector_constant(&mut self, ty: Type, bits: u128) -> Value {
        let data = ConstantData::from(&bits.to_le_bytes()[..]);
        let constant = self.b.func.dfg.constants.insert(data);
        self.b.ins().vconst(ty, constant)
    }

    /// Pops a v128 as a vector of type `ty`.
    fn pop_vector(&mut self, ty: Type) -> Value {
        let value = self.pop();
        self.vector_as(ty, value)
    }

    /// Pushes a vector of any type.
    fn push_vector(&mut self, value: Value) {
        let value = self.vector_as(I8X16, value);
        self.push(value);
    }

    /// The bits of `value`, a vector, as a vector of type `ty`.
    fn vector_as(&mut self, ty: Type, value: Value) -> Value {
        let dfg = &self.b.func.dfg;
        if dfg.value_type(value) == ty {
            return value;
        }
        let mut bits = value;
        if let Some(inst) = dfg.value_def(dfg.resolve_aliases(value)).inst()
            && let InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } = dfg.insts[inst]
        {
            if dfg.value_type(arg) == ty {
                return arg;
            }
            bits = arg;
        }
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.b.ins().bitcast(ty, flags, bits)
    }

    /// An instruction on one vector of type `ty`.
    fn vector_unary(&mut self, ty: Type, f: Unary) {
        let a = self.pop_vector(ty);
        let result = f(self, a);
        self.push_vector(result);
    }

    /// An instruction on two vectors of type `ty`.
    fn vector_binary(&mut self, ty: Type, f: Binary) {
        let b = self.pop_vector(ty);
        let a = self.pop_vector(ty);
        let result = f(self, a, b);
        self.push_vector(result);
    }

    /// `v128.bitselect`: bits of the first operand where the mask, the last one, has ones, else of the second.
    fn vector_select(&mut self) {
        let mask = self.pop();
        let b = self.pop();
        let a = self.pop();
        let result = self.b.ins().bitselect(mask, a, b);
        self.push(result);
    }
}
