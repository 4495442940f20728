//! One arm for each instruction (spec: Validation / Instructions). Here stand the rules of parametric, variable, numeric, memory and
//! table instructions; the others are next door in [`super::control`] and [`super::aggregate`].

use super::expression::{Expression, Kind, Operand, non_null, nullable};
use super::{Rule, numeric};
use crate::error::Result;
use crate::syntax::instructions::{Instr, MemArg};
use crate::syntax::opcodes::{MemoryAccess, Numeric};
use crate::syntax::types::{AddrType, HeapType, RefType, ValType};
use crate::syntax::vectors::VectorAccess;

const I32: ValType = ValType::I32;

impl Expression<'_> {
    /// Types the next instruction, found at byte `at`.
    pub(crate) fn instruction(&mut self, instr: &Instr, at: usize) -> Result<()> {
        self.at = at;
        if self.constant.is_some() && !is_constant(instr) {
            return Err(self.error(Rule::Constant, "constant expression required"));
        }
        match instr {
            // Control.
            Instr::Unreachable => {
                self.unreachable();
                Ok(())
            }
            Instr::Nop => Ok(()),
            Instr::Block(ty) => self.block(Kind::Block, Rule::Block, *ty),
            Instr::Loop(ty) => self.block(Kind::Loop, Rule::Loop, *ty),
            Instr::If(ty) => self.block(Kind::If, Rule::If, *ty),
            Instr::Else => self.else_(),
            Instr::End => self.end(),
            Instr::Br(label) => self.br(*label),
            Instr::BrIf(label) => self.br_if(*label),
            Instr::BrTable { labels, default } => self.br_table(labels, *default),
            Instr::Return => self.return_(),
            Instr::Call(func) => self.call(*func),
            Instr::CallIndirect { ty, table } => self.call_indirect(*ty, *table),
            Instr::CallRef(ty) => self.call_ref(*ty),
            Instr::ReturnCall(func) => self.return_call(*func),
            Instr::ReturnCallIndirect { ty, table } => self.return_call_indirect(*ty, *table),
            Instr::ReturnCallRef(ty) => self.return_call_ref(*ty),
            Instr::BrOnNull(label) => self.br_on_null(*label),
            Instr::BrOnNonNull(label) => self.br_on_non_null(*label),
            Instr::BrOnCast { label, from, to, on_fail } => self.br_on_cast(*label, *from, *to, *on_fail),
            // Exceptions.
            Instr::Throw(tag) => self.throw(*tag),
            Instr::ThrowRef => self.throw_ref(),
            Instr::TryTable { ty, catches } => self.try_table(*ty, catches),
            Instr::Try(ty) => self.block(Kind::Try, Rule::Try, *ty),
            Instr::Catch(tag) => self.catch(*tag),
            Instr::CatchAll => self.next_part(Kind::Catch, &[]),
            Instr::Rethrow(label) => self.rethrow(*label),
            Instr::Delegate(label) => self.delegate(*label),
            // Parametric and variable.
            Instr::Drop => {
                self.rule = Rule::Drop;
                self.pop().map(drop)
            }
            Instr::Select(None) => self.select(),
            Instr::Select(Some(types)) => self.typed_select(types),
            Instr::LocalGet(local) => self.local_get(*local),
            Instr::LocalSet(local) => self.local_set(*local),
            Instr::LocalTee(local) => self.local_tee(*local),
            Instr::GlobalGet(global) => self.global_get(*global),
            Instr::GlobalSet(global) => self.global_set(*global),
            // Numeric.
            Instr::I32Const(_) => self.constant_of(I32),
            Instr::I64Const(_) => self.constant_of(ValType::I64),
            Instr::F32Const(_) => self.constant_of(ValType::F32),
            Instr::F64Const(_) => self.constant_of(ValType::F64),
            Instr::Numeric(numeric) => self.numeric(*numeric),
            // Memory.
            Instr::Access(access, arg) => self.access(*access, *arg),
            Instr::MemorySize(memory) => {
                let addr = self.memory_address(*memory)?;
                self.push(addr);
                Ok(())
            }
            Instr::MemoryGrow(memory) => {
                let addr = self.memory_address(*memory)?;
                self.apply(Rule::MemoryGrow, &[addr], &[addr])
            }
            Instr::MemoryInit { data, memory } => {
                let addr = self.memory_address(*memory)?;
                self.context.data(*data, self.at)?;
                self.apply(Rule::MemoryInit, &[addr, I32, I32], &[])
            }
            Instr::DataDrop(data) => self.context.data(*data, self.at),
            Instr::MemoryCopy { dst, src } => {
                let (dst, src) = (self.context.memory(*dst, at)?.addr, self.context.memory(*src, at)?.addr);
                let operands = [dst.val_type(), src.val_type(), smaller(dst, src)];
                self.apply(Rule::MemoryCopy, &operands, &[])
            }
            Instr::MemoryFill(memory) => {
                let addr = self.memory_address(*memory)?;
                self.apply(Rule::MemoryFill, &[addr, I32, addr], &[])
            }
            // Vector.
            Instr::V128Const(_) => self.constant_of(ValType::V128),
            Instr::I8x16Shuffle(lanes) => self.shuffle(lanes),
            Instr::Vector(vector) => self.apply(Rule::Vector, vector.operands(), &[vector.result()]),
            Instr::VectorLane(op, lane) => {
                self.check_lane(*lane, op.lanes())?;
                self.apply(Rule::VectorLane, op.operands(), &[op.result()])
            }
            Instr::VectorAccess(access, arg, lane) => self.vector_access(*access, *arg, *lane),
            // Table.
            Instr::TableGet(table) => {
                let (addr, element) = self.table_types(*table)?;
                self.apply(Rule::TableGet, &[addr], &[element])
            }
            Instr::TableSet(table) => {
                let (addr, element) = self.table_types(*table)?;
                self.apply(Rule::TableSet, &[addr, element], &[])
            }
            Instr::TableSize(table) => {
                let (addr, _) = self.table_types(*table)?;
                self.push(addr);
                Ok(())
            }
            Instr::TableGrow(table) => {
                let (addr, element) = self.table_types(*table)?;
                self.apply(Rule::TableGrow, &[element, addr], &[addr])
            }
            Instr::TableFill(table) => {
                let (addr, element) = self.table_types(*table)?;
                self.apply(Rule::TableFill, &[addr, element, addr], &[])
            }
            Instr::TableCopy { dst, src } => self.table_copy(*dst, *src),
            Instr::TableInit { elem, table } => self.table_init(*elem, *table),
            Instr::ElemDrop(elem) => self.context.elem(*elem, self.at).map(drop),
            // Reference.
            Instr::RefNull(heap) => self.ref_null(*heap),
            Instr::RefIsNull => self.ref_is_null(),
            Instr::RefFunc(func) => self.ref_func(*func),
            Instr::RefEq => {
                let eq = nullable(HeapType::Eq);
                self.apply(Rule::RefEq, &[eq, eq], &[I32])
            }
            Instr::RefAsNonNull => self.ref_as_non_null(),
            Instr::RefTest(ty) => self.ref_test(*ty),
            Instr::RefCast(ty) => self.ref_cast(*ty),
            Instr::RefI31 => self.apply(Rule::RefI31, &[I32], &[non_null(HeapType::I31)]),
            Instr::I31GetS | Instr::I31GetU => self.apply(Rule::I31Get, &[nullable(HeapType::I31)], &[I32]),
            Instr::AnyConvertExtern => self.convert(Rule::AnyConvertExtern, HeapType::Extern, HeapType::Any),
            Instr::ExternConvertAny => self.convert(Rule::ExternConvertAny, HeapType::Any, HeapType::Extern),
            // Aggregate.
            Instr::StructNew(ty) => self.struct_new(*ty),
            Instr::StructNewDefault(ty) => self.struct_new_default(*ty),
            Instr::StructGet { ty, field, extension } => self.struct_get(*ty, *field, *extension),
            Instr::StructSet { ty, field } => self.struct_set(*ty, *field),
            Instr::ArrayNew(ty) => self.array_new(*ty),
            Instr::ArrayNewDefault(ty) => self.array_new_default(*ty),
            Instr::ArrayNewFixed { ty, len } => self.array_new_fixed(*ty, *len),
            Instr::ArrayNewData { ty, data } => self.array_new_data(*ty, *data),
            Instr::ArrayNewElem { ty, elem } => self.array_new_elem(*ty, *elem),
            Instr::ArrayGet { ty, extension } => self.array_get(*ty, *extension),
            Instr::ArraySet(ty) => self.array_set(*ty),
            Instr::ArrayLen => self.apply(Rule::ArrayLen, &[nullable(HeapType::Array)], &[I32]),
            Instr::ArrayFill(ty) => self.array_fill(*ty),
            Instr::ArrayCopy { dst, src } => self.array_copy(*dst, *src),
            Instr::ArrayInitData { ty, data } => self.array_init_data(*ty, *data),
            Instr::ArrayInitElem { ty, elem } => self.array_init_elem(*ty, *elem),
        }
    }

    // Parametric and variable.

    /// Without an annotation both operands are of the same number or vector type.
    fn select(&mut self) -> Result<()> {
        self.rule = Rule::Select;
        self.pop_type(I32)?;
        let (second, first) = (self.pop()?, self.pop()?);
        for operand in [first, second] {
            if matches!(operand, Operand::BottomRef | Operand::Value(ValType::Ref(_))) {
                let message = "type mismatch: select of references needs an annotation";
                return Err(self.error(Rule::SelectNumeric, message));
            }
        }
        if first != second && first != Operand::Bottom && second != Operand::Bottom {
            return Err(self.error(Rule::SelectSame, "type mismatch: select of values of different types"));
        }
        self.push_operand(if first == Operand::Bottom { second } else { first });
        Ok(())
    }

    fn typed_select(&mut self, types: &[ValType]) -> Result<()> {
        let &[ty] = types else {
            return Err(self.error(Rule::SelectArity, "invalid result arity"));
        };
        let ty = self.context.val_type(ty, self.at)?;
        self.apply(Rule::Select, &[ty, ty, I32], &[ty])
    }

    fn local_get(&mut self, local: u32) -> Result<()> {
        let ty = self.local(local)?;
        if !self.is_set(local) {
            return Err(self.error(Rule::LocalGetSet, format!("uninitialized local {local}")));
        }
        self.push(ty);
        Ok(())
    }

    fn local_set(&mut self, local: u32) -> Result<()> {
        self.rule = Rule::LocalSet;
        let ty = self.local(local)?;
        self.pop_type(ty)?;
        self.set_local(local);
        Ok(())
    }

    fn local_tee(&mut self, local: u32) -> Result<()> {
        self.rule = Rule::LocalTee;
        let ty = self.local(local)?;
        self.pop_type(ty)?;
        self.set_local(local);
        self.push(ty);
        Ok(())
    }

    fn global_get(&mut self, global: u32) -> Result<()> {
        if self.constant.is_some() && self.context.global_before(global, self.at)?.mutable {
            let message = "constant expression required: global is mutable";
            return Err(self.error(Rule::ConstantGlobal, message));
        }
        let ty = self.context.global(global, self.at)?;
        self.push(ty.value);
        Ok(())
    }

    fn global_set(&mut self, global: u32) -> Result<()> {
        let ty = self.context.global(global, self.at)?;
        if !ty.mutable {
            return Err(self.error(Rule::GlobalSetMutable, "immutable global"));
        }
        self.apply(Rule::GlobalSet, &[ty.value], &[])
    }

    // Numeric.

    fn constant_of(&mut self, ty: ValType) -> Result<()> {
        self.push(ty);
        Ok(())
    }

    fn numeric(&mut self, op: Numeric) -> Result<()> {
        let (rule, operand, result) = numeric::signature(op);
        self.rule = rule;
        self.pop_type(operand)?;
        if op.arity() == 2 {
            self.pop_type(operand)?;
        }
        self.push(result);
        Ok(())
    }

    // Memory.

    fn memory_address(&self, memory: u32) -> Result<ValType> {
        Ok(self.context.memory(memory, self.at)?.addr.val_type())
    }

    /// Spec: memory arguments; gives the type of the address.
    pub(super) fn mem_arg(&self, arg: MemArg, bytes: u32) -> Result<ValType> {
        let addr = self.context.memory(arg.memory, self.at)?.addr;
        if arg.align > bytes.trailing_zeros() {
            return Err(self.error(Rule::Alignment, "alignment must not be larger than natural"));
        }
        if addr == AddrType::I32 && arg.offset > u64::from(u32::MAX) {
            return Err(self.error(Rule::Offset, "offset out of range"));
        }
        Ok(addr.val_type())
    }

    fn access(&mut self, access: MemoryAccess, arg: MemArg) -> Result<()> {
        let (ty, bytes) = numeric::access(access);
        let addr = self.mem_arg(arg, bytes)?;
        if access.is_store() {
            self.rule = Rule::Store;
            self.pop_type(ty)?;
            self.pop_type(addr)
        } else {
            self.rule = Rule::Load;
            self.pop_type(addr)?;
            self.push(ty);
            Ok(())
        }
    }

    // Vector.

    fn check_lane(&self, lane: u8, lanes: u8) -> Result<()> {
        if lane < lanes {
            return Ok(());
        }
        Err(self.error(Rule::Lane, format!("invalid lane index {lane}")))
    }

    fn shuffle(&mut self, lanes: &[u8; 16]) -> Result<()> {
        for &lane in lanes {
            self.check_lane(lane, 32)?;
        }
        self.apply(Rule::Shuffle, &[ValType::V128, ValType::V128], &[ValType::V128])
    }

    fn vector_access(&mut self, access: VectorAccess, arg: MemArg, lane: u8) -> Result<()> {
        let addr = self.mem_arg(arg, access.bytes())?;
        if let Some(lanes) = access.lanes() {
            self.check_lane(lane, lanes)?;
        }
        self.rule = if access.results().is_empty() { Rule::VectorStore } else { Rule::VectorLoad };
        self.pop_types(access.operands())?;
        self.pop_type(addr)?;
        self.push_types(access.results())
    }

    // Table.

    fn table_types(&self, table: u32) -> Result<(ValType, ValType)> {
        let ty = self.context.table(table, self.at)?;
        Ok((ty.addr.val_type(), ValType::Ref(ty.element)))
    }

    fn check_elements(&self, from: RefType, to: RefType, rule: Rule) -> Result<()> {
        if self.context.types.ref_matches(from, to) {
            return Ok(());
        }
        Err(self.error(rule, "type mismatch: elements do not match the table"))
    }

    fn table_copy(&mut self, dst: u32, src: u32) -> Result<()> {
        let (dst, src) = (self.context.table(dst, self.at)?, self.context.table(src, self.at)?);
        self.check_elements(src.element, dst.element, Rule::TableCopyType)?;
        let operands = [dst.addr.val_type(), src.addr.val_type(), smaller(dst.addr, src.addr)];
        self.apply(Rule::TableCopy, &operands, &[])
    }

    fn table_init(&mut self, elem: u32, table: u32) -> Result<()> {
        let table = self.context.table(table, self.at)?;
        let items = self.context.elem(elem, self.at)?;
        self.check_elements(items, table.element, Rule::TableInitType)?;
        self.apply(Rule::TableInit, &[table.addr.val_type(), I32, I32], &[])
    }
}

/// Type of a length that both address types hold.
fn smaller(a: AddrType, b: AddrType) -> ValType {
    match (a, b) {
        (AddrType::I64, AddrType::I64) => ValType::I64,
        (AddrType::I32, _) | (_, AddrType::I32) => ValType::I32,
    }
}

/// Spec: constant instructions.
fn is_constant(instr: &Instr) -> bool {
    use Numeric as N;
    matches!(
        instr,
        Instr::I32Const(_)
            | Instr::I64Const(_)
            | Instr::F32Const(_)
            | Instr::F64Const(_)
            | Instr::V128Const(_)
            | Instr::Numeric(N::I32Add | N::I32Sub | N::I32Mul | N::I64Add | N::I64Sub | N::I64Mul)
            | Instr::GlobalGet(_)
            | Instr::RefNull(_)
            | Instr::RefFunc(_)
            | Instr::RefI31
            | Instr::StructNew(_)
            | Instr::StructNewDefault(_)
            | Instr::ArrayNew(_)
            | Instr::ArrayNewDefault(_)
            | Instr::ArrayNewFixed { .. }
            | Instr::AnyConvertExtern
            | Instr::ExternConvertAny
            | Instr::End
    )
}
