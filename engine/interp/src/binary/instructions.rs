//! Instructions (spec: Binary Format / Instructions). One call reads one instruction; blocks are not nested here.

use super::reader::Reader;
use super::types::{heap_type, opens_val_type, val_type};
use crate::error::{Error, Result};
use crate::syntax::instructions::{BlockType, CatchClause, Extension, Instr, MemArg};
use crate::syntax::opcodes::{MemoryAccess, Numeric};
use crate::syntax::types::{RefType, TypeIndex};
use crate::syntax::vectors::{Vector, VectorAccess, VectorLane};

fn block_type(r: &mut Reader<'_>) -> Result<BlockType> {
    match r.peek() {
        Some(0x40) => {
            r.byte()?;
            Ok(BlockType::Empty)
        }
        Some(byte) if opens_val_type(byte) => Ok(BlockType::Result(val_type(r)?)),
        _ => {
            let start = r.position();
            match u32::try_from(r.s33()?) {
                Ok(index) => Ok(BlockType::Type(TypeIndex(index))),
                Err(_) => Err(Error::malformed(start, "malformed block type")),
            }
        }
    }
}

fn mem_arg(r: &mut Reader<'_>) -> Result<MemArg> {
    let start = r.position();
    let flags = r.u32()?;
    if flags >= 0x80 {
        return Err(Error::malformed(start, "malformed memop flags"));
    }
    let memory = if flags & 0x40 != 0 { r.u32()? } else { 0 };
    Ok(MemArg { memory, offset: r.u64()?, align: flags & 0x3f })
}

/// Spec: catch clauses.
fn catch_clause(r: &mut Reader<'_>) -> Result<CatchClause> {
    let start = r.position();
    let kind = r.byte()?;
    if kind > 3 {
        return Err(Error::malformed(start, "malformed catch clause"));
    }
    let tag = if kind < 2 { Some(r.u32()?) } else { None };
    Ok(CatchClause { tag, exnref: kind & 1 != 0, label: r.u32()? })
}

fn f32_bits(r: &mut Reader<'_>) -> Result<u32> {
    let b = r.bytes(4)?;
    Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn sixteen_bytes(r: &mut Reader<'_>) -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(r.bytes(16)?);
    Ok(bytes)
}

fn f64_bits(r: &mut Reader<'_>) -> Result<u64> {
    let b = r.bytes(8)?;
    Ok(u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
}

/// Reads one instruction.
pub(crate) fn instruction(r: &mut Reader<'_>) -> Result<Instr> {
    let start = r.position();
    let opcode = r.byte()?;
    Ok(match opcode {
        0x00 => Instr::Unreachable,
        0x01 => Instr::Nop,
        0x02 => Instr::Block(block_type(r)?),
        0x03 => Instr::Loop(block_type(r)?),
        0x04 => Instr::If(block_type(r)?),
        0x05 => Instr::Else,
        0x06 => Instr::Try(block_type(r)?),
        0x07 => Instr::Catch(r.u32()?),
        0x08 => Instr::Throw(r.u32()?),
        0x09 => Instr::Rethrow(r.u32()?),
        0x0A => Instr::ThrowRef,
        0x0B => Instr::End,
        0x0C => Instr::Br(r.u32()?),
        0x0D => Instr::BrIf(r.u32()?),
        0x0E => {
            let count = r.count()?;
            let mut labels = Vec::with_capacity(count);
            for _ in 0..count {
                labels.push(r.u32()?);
            }
            Instr::BrTable { labels, default: r.u32()? }
        }
        0x0F => Instr::Return,
        0x10 => Instr::Call(r.u32()?),
        0x11 => Instr::CallIndirect { ty: r.u32()?, table: r.u32()? },
        0x12 => Instr::ReturnCall(r.u32()?),
        0x13 => Instr::ReturnCallIndirect { ty: r.u32()?, table: r.u32()? },
        0x14 => Instr::CallRef(r.u32()?),
        0x15 => Instr::ReturnCallRef(r.u32()?),
        0x18 => Instr::Delegate(r.u32()?),
        0x19 => Instr::CatchAll,
        0x1A => Instr::Drop,
        0x1B => Instr::Select(None),
        0x1C => {
            let count = r.count()?;
            let mut types = Vec::new();
            for _ in 0..count {
                types.push(val_type(r)?);
            }
            Instr::Select(Some(types))
        }
        0x1F => {
            let ty = block_type(r)?;
            let count = r.count()?;
            let mut catches = Vec::with_capacity(count.min(1024));
            for _ in 0..count {
                catches.push(catch_clause(r)?);
            }
            Instr::TryTable { ty, catches }
        }
        0x20 => Instr::LocalGet(r.u32()?),
        0x21 => Instr::LocalSet(r.u32()?),
        0x22 => Instr::LocalTee(r.u32()?),
        0x23 => Instr::GlobalGet(r.u32()?),
        0x24 => Instr::GlobalSet(r.u32()?),
        0x25 => Instr::TableGet(r.u32()?),
        0x26 => Instr::TableSet(r.u32()?),
        0x3F => Instr::MemorySize(r.u32()?),
        0x40 => Instr::MemoryGrow(r.u32()?),
        0x41 => Instr::I32Const(r.s32()?),
        0x42 => Instr::I64Const(r.s64()?),
        0x43 => Instr::F32Const(f32_bits(r)?),
        0x44 => Instr::F64Const(f64_bits(r)?),
        0xD0 => Instr::RefNull(heap_type(r)?),
        0xD1 => Instr::RefIsNull,
        0xD2 => Instr::RefFunc(r.u32()?),
        0xD3 => Instr::RefEq,
        0xD4 => Instr::RefAsNonNull,
        0xD5 => Instr::BrOnNull(r.u32()?),
        0xD6 => Instr::BrOnNonNull(r.u32()?),
        0xFB => aggregate(r, start)?,
        0xFC => prefixed(r, start)?,
        0xFD => vector(r, start)?,
        _ => {
            let opcode = u32::from(opcode);
            if let Some(numeric) = Numeric::from_opcode(opcode) {
                Instr::Numeric(numeric)
            } else if let Some(access) = MemoryAccess::from_opcode(opcode) {
                Instr::Access(access, mem_arg(r)?)
            } else {
                return Err(Error::malformed(start, format!("illegal opcode {opcode:02x}")));
            }
        }
    })
}

/// Prefix 0xFC: saturating truncations, bulk memory, tables.
fn prefixed(r: &mut Reader<'_>, start: usize) -> Result<Instr> {
    let opcode = r.u32()?;
    Ok(match opcode {
        0..=7 => match Numeric::from_opcode(0xFC00 + opcode) {
            Some(numeric) => Instr::Numeric(numeric),
            None => return Err(Error::malformed(start, "illegal opcode fc")),
        },
        8 => Instr::MemoryInit { data: r.u32()?, memory: r.u32()? },
        9 => Instr::DataDrop(r.u32()?),
        10 => Instr::MemoryCopy { dst: r.u32()?, src: r.u32()? },
        11 => Instr::MemoryFill(r.u32()?),
        12 => Instr::TableInit { elem: r.u32()?, table: r.u32()? },
        13 => Instr::ElemDrop(r.u32()?),
        14 => Instr::TableCopy { dst: r.u32()?, src: r.u32()? },
        15 => Instr::TableGrow(r.u32()?),
        16 => Instr::TableSize(r.u32()?),
        17 => Instr::TableFill(r.u32()?),
        _ => return Err(Error::malformed(start, format!("illegal opcode fc {opcode:02x}"))),
    })
}

/// Prefix 0xFB: aggregates, casts, i31.
fn aggregate(r: &mut Reader<'_>, start: usize) -> Result<Instr> {
    let opcode = r.u32()?;
    Ok(match opcode {
        0 => Instr::StructNew(r.u32()?),
        1 => Instr::StructNewDefault(r.u32()?),
        2..=4 => {
            let extension = extension(opcode - 2);
            Instr::StructGet { ty: r.u32()?, field: r.u32()?, extension }
        }
        5 => Instr::StructSet { ty: r.u32()?, field: r.u32()? },
        6 => Instr::ArrayNew(r.u32()?),
        7 => Instr::ArrayNewDefault(r.u32()?),
        8 => Instr::ArrayNewFixed { ty: r.u32()?, len: r.u32()? },
        9 => Instr::ArrayNewData { ty: r.u32()?, data: r.u32()? },
        10 => Instr::ArrayNewElem { ty: r.u32()?, elem: r.u32()? },
        11..=13 => Instr::ArrayGet { ty: r.u32()?, extension: extension(opcode - 11) },
        14 => Instr::ArraySet(r.u32()?),
        15 => Instr::ArrayLen,
        16 => Instr::ArrayFill(r.u32()?),
        17 => Instr::ArrayCopy { dst: r.u32()?, src: r.u32()? },
        18 => Instr::ArrayInitData { ty: r.u32()?, data: r.u32()? },
        19 => Instr::ArrayInitElem { ty: r.u32()?, elem: r.u32()? },
        20 => Instr::RefTest(RefType::non_null(heap_type(r)?)),
        21 => Instr::RefTest(RefType::nullable(heap_type(r)?)),
        22 => Instr::RefCast(RefType::non_null(heap_type(r)?)),
        23 => Instr::RefCast(RefType::nullable(heap_type(r)?)),
        24 | 25 => {
            let flags_at = r.position();
            let flags = r.byte()?;
            if flags > 3 {
                return Err(Error::malformed(flags_at, "malformed br_on_cast flags"));
            }
            let label = r.u32()?;
            let from = RefType { nullable: flags & 1 != 0, heap: heap_type(r)? };
            let to = RefType { nullable: flags & 2 != 0, heap: heap_type(r)? };
            Instr::BrOnCast { label, from, to, on_fail: opcode == 25 }
        }
        26 => Instr::AnyConvertExtern,
        27 => Instr::ExternConvertAny,
        28 => Instr::RefI31,
        29 => Instr::I31GetS,
        30 => Instr::I31GetU,
        _ => return Err(Error::malformed(start, format!("illegal opcode fb {opcode:02x}"))),
    })
}

fn extension(n: u32) -> Extension {
    [Extension::None, Extension::Signed, Extension::Unsigned][n as usize % 3]
}

/// Prefix 0xFD: vectors.
fn vector(r: &mut Reader<'_>, start: usize) -> Result<Instr> {
    let opcode = r.u32()?;
    if let Some(vector) = Vector::from_opcode(opcode) {
        return Ok(Instr::Vector(vector));
    }
    if let Some(access) = VectorAccess::from_opcode(opcode) {
        let arg = mem_arg(r)?;
        let lane = if access.lanes().is_some() { r.byte()? } else { 0 };
        return Ok(Instr::VectorAccess(access, arg, lane));
    }
    if let Some(lane) = VectorLane::from_opcode(opcode) {
        return Ok(Instr::VectorLane(lane, r.byte()?));
    }
    match opcode {
        0x0C => Ok(Instr::V128Const(sixteen_bytes(r)?)),
        0x0D => Ok(Instr::I8x16Shuffle(sixteen_bytes(r)?)),
        _ => Err(Error::malformed(start, format!("illegal opcode fd {opcode:02x}"))),
    }
}
