//! Vector instructions (spec: Execution / Vector Instructions) on a frame's slots: a vector takes two, its low half first.
//!
//! The loop knows four operations of vectors; which instruction each stands for is a number in [`Op::m`], so that the
//! loop's own match stays small. [`evaluate`] has an arm for each instruction over `u128`, [`lanes`] the ways to lift
//! functions of lanes, [`memory`] loads and stores.

mod evaluate;
mod lanes;
pub(crate) mod memory;

use super::code::Op;
use crate::error::{Error, Result};
use crate::syntax::types::ValType;
use crate::syntax::vectors::{Vector, VectorLane};

/// The vector at a slot and the one after it.
#[inline(always)]
pub(crate) fn read(regs: &[u64], slot: u32) -> u128 {
    let slot = slot as usize;
    u128::from(regs[slot + 1]) << 64 | u128::from(regs[slot])
}

/// Puts a vector into a slot and the one after it.
#[inline(always)]
pub(crate) fn write(regs: &mut [u64], slot: u32, value: u128) {
    let slot = slot as usize;
    regs[slot] = value as u64;
    regs[slot + 1] = (value >> 64) as u64;
}

fn operand(regs: &[u64], slot: u32, ty: &ValType) -> u128 {
    if *ty == ValType::V128 { read(regs, slot) } else { u128::from(regs[slot as usize]) }
}

fn put(regs: &mut [u64], slot: u32, ty: ValType, value: u128) {
    if ty == ValType::V128 {
        write(regs, slot, value);
    } else {
        regs[slot as usize] = value as u64;
    }
}

fn crash() -> Error {
    Error::crash("vector operation without an execution")
}

/// d := vector number m (a, b); the three operands of one that has so many lie from a on.
#[inline(never)]
pub(crate) fn step(op: Op, regs: &mut [u64]) -> Result<()> {
    let vector = *Vector::ALL.get(usize::from(op.m)).ok_or_else(crash)?;
    let result = match vector.operands() {
        [a] => evaluate::evaluate(vector, operand(regs, op.a, a), 0, 0),
        [a, b] => evaluate::evaluate(vector, operand(regs, op.a, a), operand(regs, op.b, b), 0),
        _ => {
            let (a, b, c) = (read(regs, op.a), read(regs, op.a + 2), read(regs, op.a + 4));
            evaluate::evaluate(vector, a, b, c)
        }
    };
    put(regs, op.d, vector.result(), result);
    Ok(())
}

/// `m` of an instruction with a lane index.
pub(crate) fn lane_number(vector: VectorLane, lane: u8) -> u16 {
    u16::from(lane) << 8 | vector as u16
}

/// d := extract or replace (a, b); m is a [`lane_number`].
#[inline(never)]
pub(crate) fn step_lane(op: Op, regs: &mut [u64]) -> Result<()> {
    let [number, lane] = op.m.to_le_bytes();
    let vector = *VectorLane::ALL.get(usize::from(number)).ok_or_else(crash)?;
    let a = read(regs, op.a);
    let b = match vector.operands() {
        [_, scalar] => operand(regs, op.b, scalar),
        _ => 0,
    };
    let result = evaluate::evaluate_lane(vector, lane, a, b).ok_or_else(crash)?;
    put(regs, op.d, vector.result(), result);
    Ok(())
}

/// d := shuffle (a, a + 2), the lane indices in pool[b..b + 4].
#[inline(never)]
pub(crate) fn step_shuffle(op: Op, regs: &mut [u64], pool: &[u32]) -> Result<()> {
    let mut lanes = [0; 16];
    let words = pool.get(op.b as usize..).ok_or_else(crash)?;
    for (bytes, word) in lanes.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let result = evaluate::shuffle(lanes, read(regs, op.a), read(regs, op.a + 2)).ok_or_else(crash)?;
    write(regs, op.d, result);
    Ok(())
}
