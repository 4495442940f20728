//! Reference instructions outside of the GC proposal's own prefix. Null is 0 for every reference.

use std::mem::offset_of;

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I32;

use super::FuncTranslator;
use crate::vmctx::VmCtx;
use crate::{Error, TrapCode};

impl FuncTranslator<'_> {
    /// `ref.null`: a constant, which no collection changes.
    pub(super) fn ref_null(&mut self) {
        let null = self.null();
        self.push(null);
    }

    /// `ref.is_null`
    pub(super) fn ref_is_null(&mut self) {
        let value = self.pop();
        let null = self.compare_to(IntCC::Equal, value, 0);
        self.push_bool(null);
    }

    /// `ref.func`
    pub(super) fn ref_func(&mut self, index: u32) {
        let ids = self.vmctx_field(offset_of!(VmCtx, func_ids));
        let id = self.constant_field(I32, ids, index as i32 * 4);
        self.push(id);
    }

    /// `ref.as_non_null`
    pub(super) fn ref_as_non_null(&mut self) {
        let value = self.peek();
        self.trap_if_zero(value, TrapCode::NullReference);
    }

    /// `ref.eq`
    pub(super) fn ref_eq(&mut self) {
        let b = self.pop();
        let a = self.pop();
        let equal = self.b.ins().icmp(IntCC::Equal, a, b);
        self.push_bool(equal);
    }

    /// `br_on_null`
    pub(super) fn br_on_null(&mut self, depth: u32) -> Result<(), Error> {
        let value = self.pop();
        let null = self.compare_to(IntCC::Equal, value, 0);
        self.branch_if(null, depth)?;
        self.push(value);
        Ok(())
    }

    /// `br_on_non_null`
    pub(super) fn br_on_non_null(&mut self, depth: u32) -> Result<(), Error> {
        let value = self.peek();
        self.branch_if(value, depth)?;
        self.pop();
        Ok(())
    }
}
