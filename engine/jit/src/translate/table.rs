//! Table instructions. Access is inline, bulk operations are builtins. All elements are 4-byte words.

use std::mem::offset_of;

use assay_gc::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};

use super::{FuncTranslator, Region};
use crate::builtins::Builtin;
use crate::convert::internal;
use crate::vmctx::{TableDef, VmCtx};
use crate::{Error, TrapCode};

impl FuncTranslator<'_> {
    fn table_is_64(&self, table: u32) -> bool {
        self.m.tables[table as usize].is_64
    }

    /// `value`, an index or length of 32 or 64 bits, as 64 bits.
    pub(super) fn widen(&mut self, value: Value, is_64: bool) -> Value {
        if is_64 { value } else { self.b.ins().uextend(I64, value) }
    }

    /// `value`, a 64-bit size, as an index type.
    pub(super) fn narrow(&mut self, value: Value, is_64: bool) -> Value {
        if is_64 { value } else { self.b.ins().ireduce(I32, value) }
    }

    /// Address of the [`TableDef`].
    fn table_def(&mut self, table: u32) -> Value {
        let tables = self.vmctx_field(offset_of!(VmCtx, tables));
        self.constant_field(I64, tables, table as i32 * 8)
    }

    fn table_len(&mut self, table: u32) -> Value {
        let def = self.table_def(table);
        let flags = self.flags(Region::Def);
        self.b.ins().load(I64, flags, def, offset_of!(TableDef, len) as i32)
    }

    /// Address of an element, its index checked. Not kept across calls: tables move when they grow.
    fn table_element(&mut self, table: u32, index: Value) -> Value {
        let index = self.widen(index, self.table_is_64(table));
        let len = self.table_len(table);
        let out = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        self.trap_if(out, TrapCode::TableOutOfBounds);
        let def = self.table_def(table);
        let flags = self.flags(Region::Def);
        let base = self.b.ins().load(I64, flags, def, offset_of!(TableDef, base) as i32);
        let offset = self.shifted(index, 2);
        self.b.ins().iadd(base, offset)
    }

    /// The word at `index`, not declared for stack maps.
    pub(super) fn table_load(&mut self, table: u32, index: Value) -> Value {
        let address = self.table_element(table, index);
        let flags = self.flags(Region::Table);
        self.b.ins().load(I32, flags, address, 0)
    }

    /// `table.get`
    pub(super) fn table_get(&mut self, table: u32) {
        let index = self.pop();
        let value = self.table_load(table, index);
        let ty = ValType::Ref(self.m.tables[table as usize].element);
        self.push_typed(value, &ty);
    }

    /// `table.set`
    pub(super) fn table_set(&mut self, table: u32) {
        let value = self.pop();
        let index = self.pop();
        let address = self.table_element(table, index);
        let flags = self.flags(Region::Table);
        if self.is_traced(&ValType::Ref(self.m.tables[table as usize].element)) {
            self.emit_root_store(flags, address, value);
        } else {
            self.b.ins().store(flags, value, address, 0);
        }
    }

    /// `table.size`
    pub(super) fn table_size(&mut self, table: u32) {
        let len = self.table_len(table);
        let size = self.narrow(len, self.table_is_64(table));
        self.push(size);
    }

    /// `table.grow`
    pub(super) fn table_grow(&mut self, table: u32) -> Result<(), Error> {
        let is_64 = self.table_is_64(table);
        let delta = self.pop();
        let init = self.pop();
        let delta = self.widen(delta, is_64);
        let index = self.iconst32(table);
        let old = self.builtin(Builtin::TableGrow, &[index, delta, init]);
        let old = old.ok_or_else(|| internal("table.grow without result"))?;
        let old = self.narrow(old, is_64);
        self.push(old);
        Ok(())
    }

    /// `table.fill`
    pub(super) fn table_fill(&mut self, table: u32) {
        let is_64 = self.table_is_64(table);
        let len = self.pop();
        let value = self.pop();
        let start = self.pop();
        let (start, len) = (self.widen(start, is_64), self.widen(len, is_64));
        let index = self.iconst32(table);
        self.builtin(Builtin::TableFill, &[index, start, value, len]);
    }

    /// `table.copy`
    pub(super) fn table_copy(&mut self, dst: u32, src: u32) {
        let (dst_64, src_64) = (self.table_is_64(dst), self.table_is_64(src));
        let len = self.pop();
        let from = self.pop();
        let to = self.pop();
        let to = self.widen(to, dst_64);
        let from = self.widen(from, src_64);
        let len = self.widen(len, dst_64 && src_64);
        let (dst, src) = (self.iconst32(dst), self.iconst32(src));
        self.builtin(Builtin::TableCopy, &[dst, src, to, from, len]);
    }

    /// `table.init`
    pub(super) fn table_init(&mut self, segment: u32, table: u32) {
        let len = self.pop();
        let from = self.pop();
        let to = self.pop();
        let to = self.widen(to, self.table_is_64(table));
        let (table, segment) = (self.iconst32(table), self.iconst32(segment));
        self.builtin(Builtin::TableInit, &[table, segment, to, from, len]);
    }

    /// `elem.drop`
    pub(super) fn elem_drop(&mut self, segment: u32) {
        let segment = self.iconst32(segment);
        self.builtin(Builtin::ElemDrop, &[segment]);
    }
}
