//! Memory instructions. A 32-bit memory's reservation covers every index plus every offset, so the access itself is the
//! bounds check; 64-bit memories are checked against their length. Bulk operations are builtins.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Opcode, Type, Value};
use wasmparser::{MemArg, MemArgTarget};

use super::{FuncTranslator, Region, clif_trap};
use crate::builtins::Builtin;
use crate::convert::internal;
use crate::vmctx::{MemoryDef, VmCtx};
use crate::{Error, TrapCode};

impl FuncTranslator<'_> {
    fn memory_is_64(&self, memory: u32) -> bool {
        self.m.memories[memory as usize].is_64
    }

    /// Address of the [`MemoryDef`].
    fn memory_def(&mut self, memory: u32) -> Value {
        let memories = self.vmctx_field(offset_of!(VmCtx, memories));
        self.constant_field(I64, memories, memory as i32 * 8)
    }

    fn memory_len(&mut self, memory: u32) -> Value {
        let def = self.memory_def(memory);
        let flags = self.flags(Region::Def);
        self.b.ins().load(I64, flags, def, offset_of!(MemoryDef, len) as i32)
    }

    /// Address, offset and flags of an access of `size` bytes at the index on the stack.
    pub(super) fn memory_address(
        &mut self,
        arg: &MemArg,
        size: u32,
    ) -> Result<(Value, i32, MemFlagsData), Error> {
        let MemArgTarget::Memory(memory) = arg.target else { return Err(internal("not a memory access")) };
        let index = self.pop();
        let is_64 = self.memory_is_64(memory);
        if is_64 {
            let end = arg.offset.checked_add(u64::from(size));
            let len = self.memory_len(memory);
            // An offset that no length can hold always traps: any length is below it.
            let end = self.iconst(I64, end.unwrap_or(u64::MAX) as i64);
            let short = self.b.ins().icmp(IntCC::UnsignedLessThan, len, end);
            self.trap_if(short, TrapCode::MemoryOutOfBounds);
            let last = self.b.ins().isub(len, end);
            let out = self.b.ins().icmp(IntCC::UnsignedGreaterThan, index, last);
            self.trap_if(out, TrapCode::MemoryOutOfBounds);
        }
        let def = self.memory_def(memory);
        let base = self.constant_field(I64, def, offset_of!(MemoryDef, base) as i32);
        let index = self.widen(index, is_64);
        let mut address = self.b.ins().iadd(base, index);
        let offset = i32::try_from(arg.offset).unwrap_or_else(|_| {
            let offset = self.iconst(I64, arg.offset as i64);
            address = self.b.ins().iadd(address, offset);
            0
        });
        let region = self.alias_region(Region::memory(memory, self.m.imported_memories));
        let flags = MemFlagsData::new()
            .with_endianness(Endianness::Little)
            .with_trap_code(Some(clif_trap(TrapCode::MemoryOutOfBounds)))
            .with_alias_region(Some(region));
        Ok((address, offset, flags))
    }

    /// A load of a whole value.
    pub(super) fn load(&mut self, arg: &MemArg, ty: Type) -> Result<(), Error> {
        let (address, offset, flags) = self.memory_address(arg, ty.bytes())?;
        let value = self.b.ins().load(ty, flags, address, offset);
        self.push(value);
        Ok(())
    }

    /// A load that extends; `op` is one of Cranelift's.
    pub(super) fn load_extend(&mut self, arg: &MemArg, ty: Type, op: Opcode) -> Result<(), Error> {
        let size = match op {
            Opcode::Uload8 | Opcode::Sload8 => 1,
            Opcode::Uload16 | Opcode::Sload16 => 2,
            _ => 4,
        };
        let (address, offset, flags) = self.memory_address(arg, size)?;
        let value = match op {
            Opcode::Uload8 => self.b.ins().uload8(ty, flags, address, offset),
            Opcode::Sload8 => self.b.ins().sload8(ty, flags, address, offset),
            Opcode::Uload16 => self.b.ins().uload16(ty, flags, address, offset),
            Opcode::Sload16 => self.b.ins().sload16(ty, flags, address, offset),
            Opcode::Uload32 => self.b.ins().uload32(flags, address, offset),
            Opcode::Sload32 => self.b.ins().sload32(flags, address, offset),
            _ => return Err(internal("not an extending load")),
        };
        self.push(value);
        Ok(())
    }

    /// A store of the low `size` bytes.
    pub(super) fn store_value(&mut self, arg: &MemArg, size: u32) -> Result<(), Error> {
        let value = self.pop();
        let whole = self.b.func.dfg.value_type(value).bytes();
        let (address, offset, flags) = self.memory_address(arg, size)?;
        match size {
            _ if size == whole => self.b.ins().store(flags, value, address, offset),
            1 => self.b.ins().istore8(flags, value, address, offset),
            2 => self.b.ins().istore16(flags, value, address, offset),
            _ => self.b.ins().istore32(flags, value, address, offset),
        };
        Ok(())
    }

    /// `memory.size`
    pub(super) fn memory_size(&mut self, memory: u32) {
        let len = self.memory_len(memory);
        let pages = self.b.ins().ushr_imm_u(len, 16);
        let pages = self.narrow(pages, self.memory_is_64(memory));
        self.push(pages);
    }

    /// `memory.grow`
    pub(super) fn memory_grow(&mut self, memory: u32) -> Result<(), Error> {
        let is_64 = self.memory_is_64(memory);
        let delta = self.pop();
        let delta = self.widen(delta, is_64);
        let index = self.iconst32(memory);
        let old = self.builtin(Builtin::MemoryGrow, &[index, delta]);
        let old = old.ok_or_else(|| internal("memory.grow without result"))?;
        let old = self.narrow(old, is_64);
        self.push(old);
        Ok(())
    }

    /// `memory.copy`
    pub(super) fn memory_copy(&mut self, dst: u32, src: u32) {
        let (dst_64, src_64) = (self.memory_is_64(dst), self.memory_is_64(src));
        let len = self.pop();
        let from = self.pop();
        let to = self.pop();
        let to = self.widen(to, dst_64);
        let from = self.widen(from, src_64);
        let len = self.widen(len, dst_64 && src_64);
        let (dst, src) = (self.iconst32(dst), self.iconst32(src));
        self.builtin(Builtin::MemoryCopy, &[dst, src, to, from, len]);
    }

    /// `memory.fill`
    pub(super) fn memory_fill(&mut self, memory: u32) {
        let is_64 = self.memory_is_64(memory);
        let len = self.pop();
        let byte = self.pop();
        let start = self.pop();
        let (start, len) = (self.widen(start, is_64), self.widen(len, is_64));
        let index = self.iconst32(memory);
        self.builtin(Builtin::MemoryFill, &[index, start, byte, len]);
    }

    /// `memory.init`
    pub(super) fn memory_init(&mut self, segment: u32, memory: u32) {
        let len = self.pop();
        let from = self.pop();
        let to = self.pop();
        let to = self.widen(to, self.memory_is_64(memory));
        let (memory, segment) = (self.iconst32(memory), self.iconst32(segment));
        self.builtin(Builtin::MemoryInit, &[memory, segment, to, from, len]);
    }

    /// `data.drop`
    pub(super) fn data_drop(&mut self, segment: u32) {
        let segment = self.iconst32(segment);
        self.builtin(Builtin::DataDrop, &[segment]);
    }
}
