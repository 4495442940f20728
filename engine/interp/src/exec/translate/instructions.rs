//! The instructions, family by family, in terms of the state next door.

use super::{Entry, Kind, MAX_PENDING, NO_LOCAL, Translator};
use crate::error::Result;
use crate::exec::code::Code;
use crate::syntax::instructions::{Extension, Instr, MemArg};
use crate::syntax::opcodes::MemoryAccess;
use crate::syntax::types::{StorageType, TypeIndex, ValType};

impl Translator<'_> {
    /// d := code(a) with `b` as immediate.
    fn unary(&mut self, code: Code, b: u32) -> Result<()> {
        let a = self.pop_reg()?;
        let d = self.push(1)?;
        self.emit(code, d, a, b);
        Ok(())
    }

    fn binary(&mut self, code: Code) -> Result<()> {
        let b = self.pop_reg()?;
        let constant = self.fusible(b).filter(|op| op.code == Code::Const);
        let fused = constant.and_then(|op| code.with_immediate(u64::from(op.b) << 32 | u64::from(op.a)));
        if fused.is_some() {
            self.body.ops.pop();
        }
        let a = self.pop_reg()?;
        let d = self.push(1)?;
        let (code, b) = fused.unwrap_or((code, b));
        self.emit(code, d, a, b);
        Ok(())
    }

    fn constant_value(&mut self, bits: u64) -> Result<()> {
        let d = self.push(1)?;
        self.emit(Code::Const, d, bits as u32, (bits >> 32) as u32);
        Ok(())
    }

    /// An operation over `n` settled operands that has `results` results in the same place.
    fn bulk(&mut self, code: Code, n: usize, results: u32, d: u32, b: u32, m: u16) -> Result<()> {
        let a = self.pop_settled(n)?;
        if results == 1 {
            self.push(1)?;
        }
        let op = self.emit(code, d, a, b);
        self.body.ops[op].m = m;
        Ok(())
    }

    fn access(&mut self, access: MemoryAccess, arg: MemArg) -> Result<()> {
        let m = self.memory(arg.memory)?;
        let mut code = Code::from(access);
        let value = if access.is_store() {
            let reg = self.pop_reg()?;
            let constant = self.fusible(reg).filter(|op| op.code == Code::Const && op.b == 0);
            match (constant, code.store_of_constant()) {
                (Some(constant), Some(fused)) => {
                    self.body.ops.pop();
                    code = fused;
                    Some(constant.a)
                }
                _ => Some(reg),
            }
        } else {
            None
        };
        let mut a = self.pop_reg()?;
        let mut offset = arg.offset;
        if offset > u64::from(u32::MAX) {
            let pool = self.body.pool.len() as u32;
            self.body.pool.extend([offset as u32, (offset >> 32) as u32]);
            // The slot above both operands is free.
            let free = self.top_slot() + 2;
            self.body.frame_size = self.body.frame_size.max(free + 1);
            self.emit(Code::OffsetAddress, free, a, pool);
            a = free;
            offset = 0;
        }
        let d = match value {
            Some(reg) => reg,
            None => self.push(1)?,
        };
        let op = self.emit(code, d, a, offset as u32);
        self.body.ops[op].m = m;
        Ok(())
    }

    fn local_set(&mut self, index: u32) -> Result<(u32, u32)> {
        let (slot, width) = self.local(index)?;
        let entry = self.pop()?;
        if entry.width != width {
            return Err(self.crash("local of another width"));
        }
        self.settle_local(slot);
        let last = self.body.ops.len();
        if entry.local != NO_LOCAL {
            self.emit_copy(slot, entry.local, width);
        } else if last > self.barrier
            && self.body.ops[last - 1].code.sets_only_d()
            && self.body.ops[last - 1].d == entry.slot
        {
            self.body.ops[last - 1].d = slot;
        } else {
            self.emit_copy(slot, entry.slot, width);
        }
        Ok((slot, width))
    }

    fn push_local(&mut self, slot: u32, width: u32) -> Result<()> {
        if self.pending.len() >= MAX_PENDING {
            self.settle_all();
        }
        self.push(width)?;
        let index = self.entries.len() - 1;
        self.entries[index].local = slot;
        self.pending.push(index);
        Ok(())
    }

    fn select(&mut self) -> Result<()> {
        self.settle_top(1)?;
        self.pop()?;
        let b = self.pop()?;
        let a = self.pop()?;
        if a.width != b.width {
            return Err(self.crash("select of values of different width"));
        }
        let reg = |entry: Entry| if entry.local == NO_LOCAL { entry.slot } else { entry.local };
        let d = self.push(a.width)?;
        let code = if a.width == 1 { Code::Select } else { Code::SelectWide };
        self.emit(code, d, reg(a), reg(b));
        Ok(())
    }

    fn global_width(&self, index: u32) -> Result<u32> {
        let global = self.module.globals.get(index as usize).ok_or_else(|| self.crash("unknown global"))?;
        Ok(global.value.slots())
    }

    fn field(&self, ty: u32, field: u32) -> Result<(u32, StorageType)> {
        let fields = self.struct_type(ty)?;
        let found = fields.get(field as usize).ok_or_else(|| self.crash("unknown field"))?;
        Ok((self.module.field_slot(TypeIndex(ty), field), found.storage))
    }

    /// Translates the next instruction, found at byte `at`.
    pub(crate) fn instruction(&mut self, instr: Instr, at: usize) -> Result<()> {
        self.at = at;
        if let Some(depth) = self.skipping {
            match instr {
                Instr::Block(_) | Instr::Loop(_) | Instr::If(_) | Instr::TryTable { .. } | Instr::Try(_) => {
                    self.skipping = Some(depth + 1);
                }
                Instr::End | Instr::Delegate(_) if depth > 0 => self.skipping = Some(depth - 1),
                Instr::End => return self.end(),
                Instr::Else if depth == 0 => return self.else_(),
                Instr::Catch(tag) if depth == 0 => return self.catch(Some(tag)),
                Instr::CatchAll if depth == 0 => return self.catch(None),
                Instr::Delegate(label) => return self.delegate(label),
                _ => {}
            }
            return Ok(());
        }
        if self.covers {
            self.cover(&instr, at);
        }
        match instr {
            Instr::Unreachable => {
                self.emit(Code::Unreachable, 0, 0, 0);
                self.unreachable();
            }
            Instr::Nop => {}
            Instr::Block(ty) => self.open(Kind::Block, ty, None)?,
            Instr::Loop(ty) => self.open(Kind::Loop, ty, None)?,
            Instr::If(ty) => {
                let reg = self.pop_reg()?;
                self.open(Kind::If, ty, Some(reg))?;
            }
            Instr::Else => self.else_()?,
            Instr::End => self.end()?,
            Instr::Br(label) => {
                let index = self.label_index(label)?;
                self.jump(index)?;
                self.unreachable();
            }
            Instr::BrIf(label) => {
                let index = self.label_index(label)?;
                let reg = self.pop_reg()?;
                self.branch_if(index, Code::BrIf, 0, reg)?;
            }
            Instr::BrTable { labels, default } => self.br_table(&labels, default)?,
            Instr::Return => {
                self.return_()?;
                self.unreachable();
            }
            Instr::Call(func) | Instr::ReturnCall(func) => {
                let ty =
                    *self.module.funcs.get(func as usize).ok_or_else(|| self.crash("unknown function"))?;
                let code = if matches!(instr, Instr::Call(_)) { Code::Call } else { Code::ReturnCall };
                let ty = self.func_type(ty.0)?;
                self.call(code, ty, 0, func, 0)?;
            }
            Instr::CallIndirect { ty, table } | Instr::ReturnCallIndirect { ty, table } => {
                let code = if matches!(instr, Instr::CallIndirect { .. }) {
                    Code::CallIndirect
                } else {
                    Code::ReturnCallIndirect
                };
                let m = self.table(table)?;
                let func_type = self.func_type(ty)?;
                let a = self.pop_reg()?;
                self.call(code, func_type, a, ty, m)?;
            }
            Instr::CallRef(ty) | Instr::ReturnCallRef(ty) => {
                let code =
                    if matches!(instr, Instr::CallRef(_)) { Code::CallRef } else { Code::ReturnCallRef };
                let func_type = self.func_type(ty)?;
                let a = self.pop_reg()?;
                self.call(code, func_type, a, ty, 0)?;
            }
            Instr::BrOnNull(label) => {
                let index = self.label_index(label)?;
                // The reference stays above the branch's values, which must be settled without it.
                let entry = self.pop()?;
                let reg = if entry.local == NO_LOCAL { entry.slot } else { entry.local };
                self.branch_if(index, Code::BrOnNull, 0, reg)?;
                let d = self.push(1)?;
                self.emit_copy(d, reg, 1);
            }
            Instr::BrOnNonNull(label) => {
                let index = self.label_index(label)?;
                self.settle_top(1)?;
                let slot = self.top_slot().wrapping_sub(1);
                self.branch_if(index, Code::BrOnNonNull, 0, slot)?;
                self.pop()?;
            }
            Instr::BrOnCast { label, to, on_fail, .. } => {
                let index = self.label_index(label)?;
                let ty = self.ref_type(to);
                self.settle_top(1)?;
                let slot = self.top_slot().wrapping_sub(1);
                let code = if on_fail { Code::BrOnCastFail } else { Code::BrOnCast };
                self.branch_if(index, code, ty, slot)?;
            }
            Instr::Throw(tag) => self.throw(tag)?,
            Instr::ThrowRef => self.throw_ref()?,
            Instr::TryTable { ty, catches } => self.try_table(ty, &catches)?,
            Instr::Try(ty) => self.try_(ty)?,
            Instr::Catch(tag) => self.catch(Some(tag))?,
            Instr::CatchAll => self.catch(None)?,
            Instr::Rethrow(label) => self.rethrow(label)?,
            Instr::Delegate(label) => self.delegate(label)?,
            Instr::Drop => {
                self.pop()?;
            }
            Instr::Select(_) => self.select()?,
            Instr::LocalGet(index) => {
                let (slot, width) = self.local(index)?;
                self.push_local(slot, width)?;
            }
            Instr::LocalSet(index) => {
                self.local_set(index)?;
            }
            Instr::LocalTee(index) => {
                let (slot, width) = self.local_set(index)?;
                self.push_local(slot, width)?;
            }
            Instr::GlobalGet(index) => {
                let width = self.global_width(index)?;
                let d = self.push(width)?;
                let code = if width == 1 { Code::GlobalGet } else { Code::GlobalGetWide };
                self.emit(code, d, 0, index);
            }
            Instr::GlobalSet(index) => {
                let width = self.global_width(index)?;
                let a = self.pop_reg()?;
                let code = if width == 1 { Code::GlobalSet } else { Code::GlobalSetWide };
                self.emit(code, 0, a, index);
            }
            Instr::I32Const(value) => self.constant_value(u64::from(value as u32))?,
            Instr::I64Const(value) => self.constant_value(value as u64)?,
            Instr::F32Const(bits) => self.constant_value(u64::from(bits))?,
            Instr::F64Const(bits) => self.constant_value(bits)?,
            Instr::Numeric(numeric) if numeric.arity() == 1 => self.unary(numeric.into(), 0)?,
            Instr::Numeric(numeric) => self.binary(numeric.into())?,
            Instr::Access(access, arg) => self.access(access, arg)?,
            Instr::V128Const(_)
            | Instr::I8x16Shuffle(_)
            | Instr::Vector(_)
            | Instr::VectorLane(..)
            | Instr::VectorAccess(..) => self.vector_instruction(&instr)?,
            other => self.store_instruction(other)?,
        }
        Ok(())
    }

    /// Memory, table, reference and aggregate instructions.
    fn store_instruction(&mut self, instr: Instr) -> Result<()> {
        match instr {
            Instr::MemorySize(memory) => {
                let m = self.memory(memory)?;
                let d = self.push(1)?;
                let op = self.emit(Code::MemorySize, d, 0, 0);
                self.body.ops[op].m = m;
            }
            Instr::MemoryGrow(memory) => {
                let m = self.memory(memory)?;
                self.unary(Code::MemoryGrow, 0)?;
                if let Some(op) = self.body.ops.last_mut() {
                    op.m = m;
                }
            }
            Instr::MemoryInit { data, memory } => {
                let (m, b) = (self.memory(memory)?, data);
                self.bulk(Code::MemoryInit, 3, 0, 0, b, m)?;
            }
            Instr::DataDrop(data) => {
                self.emit(Code::DataDrop, 0, 0, data);
            }
            Instr::MemoryCopy { dst, src } => {
                let (m, b) = (self.memory(dst)?, u32::from(self.memory(src)?));
                self.bulk(Code::MemoryCopy, 3, 0, 0, b, m)?;
            }
            Instr::MemoryFill(memory) => {
                let m = self.memory(memory)?;
                self.bulk(Code::MemoryFill, 3, 0, 0, 0, m)?;
            }
            Instr::TableGet(table) => {
                let b = u32::from(self.table(table)?);
                self.unary(Code::TableGet, b)?;
            }
            Instr::TableSet(table) => {
                let b = u32::from(self.table(table)?);
                let d = self.pop_reg()?;
                let a = self.pop_reg()?;
                self.emit(Code::TableSet, d, a, b);
            }
            Instr::TableSize(table) => {
                let b = u32::from(self.table(table)?);
                let d = self.push(1)?;
                self.emit(Code::TableSize, d, 0, b);
            }
            Instr::TableGrow(table) => {
                let b = u32::from(self.table(table)?);
                self.bulk(Code::TableGrow, 2, 1, 0, b, 0)?;
            }
            Instr::TableFill(table) => {
                let b = u32::from(self.table(table)?);
                self.bulk(Code::TableFill, 3, 0, 0, b, 0)?;
            }
            Instr::TableCopy { dst, src } => {
                let (b, d) = (u32::from(self.table(dst)?), u32::from(self.table(src)?));
                self.bulk(Code::TableCopy, 3, 0, d, b, 0)?;
            }
            Instr::TableInit { elem, table } => {
                let b = u32::from(self.table(table)?);
                self.bulk(Code::TableInit, 3, 0, elem, b, 0)?;
            }
            Instr::ElemDrop(elem) => {
                self.emit(Code::ElemDrop, 0, 0, elem);
            }
            Instr::RefNull(_) => self.constant_value(0)?,
            Instr::RefIsNull => self.unary(Code::RefIsNull, 0)?,
            Instr::RefFunc(func) => {
                let d = self.push(1)?;
                self.emit(Code::RefFunc, d, 0, func);
            }
            Instr::RefEq => self.binary(Code::RefEq)?,
            Instr::RefAsNonNull => self.unary(Code::RefAsNonNull, 0)?,
            Instr::RefTest(ty) => {
                let b = self.ref_type(ty);
                self.unary(Code::RefTest, b)?;
            }
            Instr::RefCast(ty) => {
                let b = self.ref_type(ty);
                self.unary(Code::RefCast, b)?;
            }
            Instr::RefI31 => self.unary(Code::RefI31, 0)?,
            Instr::I31GetS => self.unary(Code::I31GetS, 0)?,
            Instr::I31GetU => self.unary(Code::I31GetU, 0)?,
            // Both conversions keep the bits; see `runtime::value`.
            Instr::AnyConvertExtern | Instr::ExternConvertAny => {
                self.unary(Code::Copy, 0)?;
            }
            other => self.aggregate_instruction(other)?,
        }
        Ok(())
    }

    fn aggregate_instruction(&mut self, instr: Instr) -> Result<()> {
        match instr {
            Instr::StructNew(ty) => {
                let fields = self.struct_type(ty)?.len();
                self.settle_top(fields)?;
                for _ in 0..fields {
                    self.pop()?;
                }
                let d = self.push(1)?;
                self.emit(Code::StructNew, d, 0, ty);
            }
            Instr::StructNewDefault(ty) => {
                self.struct_type(ty)?;
                let d = self.push(1)?;
                self.emit(Code::StructNewDefault, d, 0, ty);
            }
            Instr::StructGet { ty, field, extension } => {
                let (slot, storage) = self.field(ty, field)?;
                let code = match (extension, storage) {
                    (Extension::Signed, StorageType::I8) => Code::StructGetS8,
                    (Extension::Signed, StorageType::I16) => Code::StructGetS16,
                    (_, StorageType::Val(ValType::V128)) => Code::StructGetWide,
                    _ => Code::StructGet,
                };
                let a = self.pop_reg()?;
                let d = self.push(storage.unpack().slots())?;
                self.emit(code, d, a, slot);
            }
            Instr::StructSet { ty, field } => {
                let (slot, storage) = self.field(ty, field)?;
                let code = match storage {
                    StorageType::I8 => Code::StructSet8,
                    StorageType::I16 => Code::StructSet16,
                    StorageType::Val(ValType::V128) => Code::StructSetWide,
                    StorageType::Val(_) => Code::StructSet,
                };
                let d = self.pop_reg()?;
                let a = self.pop_reg()?;
                self.emit(code, d, a, slot);
            }
            Instr::ArrayNew(ty) => {
                self.bulk(Code::ArrayNew, 2, 1, 0, ty, 0)?;
            }
            Instr::ArrayNewDefault(ty) => {
                self.bulk(Code::ArrayNewDefault, 1, 1, 0, ty, 0)?;
            }
            Instr::ArrayNewFixed { ty, len } => {
                self.bulk(Code::ArrayNewFixed, len as usize, 1, len, ty, 0)?;
            }
            Instr::ArrayNewData { ty, data } => {
                self.bulk(Code::ArrayNewData, 2, 1, data, ty, 0)?;
            }
            Instr::ArrayNewElem { ty, elem } => {
                self.bulk(Code::ArrayNewElem, 2, 1, elem, ty, 0)?;
            }
            Instr::ArrayGet { ty, extension } => {
                let storage = self.array_type(ty)?.storage;
                let code = match (extension, storage) {
                    (Extension::Signed, StorageType::I8) => Code::ArrayGetS8,
                    (Extension::Signed, StorageType::I16) => Code::ArrayGetS16,
                    (_, StorageType::Val(ValType::V128)) => Code::ArrayGetWide,
                    _ => Code::ArrayGet,
                };
                let b = self.pop_reg()?;
                let a = self.pop_reg()?;
                let d = self.push(storage.unpack().slots())?;
                self.emit(code, d, a, b);
            }
            Instr::ArraySet(ty) => {
                let code = match self.array_type(ty)?.storage {
                    StorageType::Val(ValType::V128) => Code::ArraySetWide,
                    _ => Code::ArraySet,
                };
                let d = self.pop_reg()?;
                let b = self.pop_reg()?;
                let a = self.pop_reg()?;
                self.emit(code, d, a, b);
            }
            Instr::ArrayLen => self.unary(Code::ArrayLen, 0)?,
            Instr::ArrayFill(ty) => {
                self.bulk(Code::ArrayFill, 4, 0, 0, ty, 0)?;
            }
            Instr::ArrayCopy { dst, .. } => {
                self.bulk(Code::ArrayCopy, 5, 0, 0, dst, 0)?;
            }
            Instr::ArrayInitData { ty, data } => {
                self.bulk(Code::ArrayInitData, 4, 0, data, ty, 0)?;
            }
            Instr::ArrayInitElem { ty, elem } => {
                self.bulk(Code::ArrayInitElem, 4, 0, elem, ty, 0)?;
            }
            _ => return Err(self.crash("instruction without a translation")),
        }
        Ok(())
    }
}
