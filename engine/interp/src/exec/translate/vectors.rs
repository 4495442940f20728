//! Vector instructions: which slots and pool entries the operations of [`crate::exec::vector`] get.

use super::Translator;
use crate::error::Result;
use crate::exec::code::Code;
use crate::exec::vector;
use crate::syntax::instructions::{Instr, MemArg};
use crate::syntax::vectors::{Vector, VectorAccess, VectorLane};

impl Translator<'_> {
    pub(super) fn vector_instruction(&mut self, instr: &Instr) -> Result<()> {
        match *instr {
            Instr::V128Const(bytes) => {
                let d = self.push(2)?;
                let [a, b, c, e] = words(bytes);
                self.emit(Code::Const, d, a, b);
                self.emit(Code::Const, d + 1, c, e);
            }
            Instr::I8x16Shuffle(lanes) => {
                let a = self.pop_settled(2)?;
                let b = self.body.pool.len() as u32;
                self.body.pool.extend(words(lanes));
                let d = self.push(2)?;
                self.emit(Code::VectorShuffle, d, a, b);
            }
            Instr::Vector(vector) => self.vector(vector)?,
            Instr::VectorLane(vector, lane) => self.vector_lane(vector, lane)?,
            Instr::VectorAccess(access, arg, lane) => self.vector_access(access, arg, lane)?,
            _ => return Err(self.crash("no vector instruction")),
        }
        Ok(())
    }

    fn vector(&mut self, vector: Vector) -> Result<()> {
        let (a, b) = match vector.operands().len() {
            1 => (self.pop_reg()?, 0),
            2 => {
                let b = self.pop_reg()?;
                (self.pop_reg()?, b)
            }
            n => (self.pop_settled(n)?, 0),
        };
        let d = self.push(vector.result().slots())?;
        let op = self.emit(Code::Vector, d, a, b);
        self.body.ops[op].m = vector as u16;
        Ok(())
    }

    fn vector_lane(&mut self, vector: VectorLane, lane: u8) -> Result<()> {
        if lane >= vector.lanes() {
            return Err(self.crash("invalid lane index"));
        }
        let b = if vector.operands().len() == 2 { self.pop_reg()? } else { 0 };
        let a = self.pop_reg()?;
        let d = self.push(vector.result().slots())?;
        let op = self.emit(Code::VectorLane, d, a, b);
        self.body.ops[op].m = vector::lane_number(vector, lane);
        Ok(())
    }

    fn vector_access(&mut self, access: VectorAccess, arg: MemArg, lane: u8) -> Result<()> {
        let memory = u32::from(self.memory(arg.memory)?);
        if access.lanes().is_some_and(|lanes| lane >= lanes) {
            return Err(self.crash("invalid lane index"));
        }
        let vector = if access.operands().is_empty() { 0 } else { self.pop_reg()? };
        let a = self.pop_reg()?;
        let (code, d) = match access.results() {
            [] => (Code::VectorStore, vector),
            _ => (Code::VectorLoad, self.push(2)?),
        };
        let b = self.body.pool.len() as u32;
        let words: [u32; vector::memory::POOL_WORDS] =
            [memory, arg.offset as u32, (arg.offset >> 32) as u32, lane.into(), vector];
        self.body.pool.extend(words);
        let op = self.emit(code, d, a, b);
        self.body.ops[op].m = access as u16;
        Ok(())
    }
}

fn words(bytes: [u8; 16]) -> [u32; 4] {
    let bits = u128::from_le_bytes(bytes);
    [bits as u32, (bits >> 32) as u32, (bits >> 64) as u32, (bits >> 96) as u32]
}
