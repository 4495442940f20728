//! Locals and globals. A local is a Cranelift variable; only locals that the body names get one. A variable of a traced
//! type is declared for stack maps before its first definition, which covers every value bound to it.

use std::mem::offset_of;

use assay_gc::ValType;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{F32, F64, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::Variable;

use super::{FuncTranslator, Region, clif_type};
use crate::Error;
use crate::convert::internal;
use crate::vmctx::VmCtx;

impl FuncTranslator<'_> {
    /// Makes local `index` of type `ty`, holding `value` or the type's zero.
    pub(super) fn declare_local(&mut self, index: u32, ty: &ValType, value: Option<Value>) {
        let clif = clif_type(ty);
        let variable = self.b.declare_var(clif);
        if self.is_traced(ty) {
            self.b.declare_var_needs_stack_map(variable);
            self.traced_locals += 1;
        }
        let value = value.unwrap_or_else(|| match clif {
            F32 => self.b.ins().f32const(Ieee32::with_bits(0)),
            F64 => self.b.ins().f64const(Ieee64::with_bits(0)),
            I64 => self.b.ins().iconst(I64, 0),
            _ => self.b.ins().iconst(I32, 0),
        });
        self.b.def_var(variable, value);
        let index = index as usize;
        if self.locals.len() <= index {
            self.locals.resize(index + 1, None);
        }
        self.locals[index] = Some(variable);
    }

    fn local(&self, index: u32) -> Result<Variable, Error> {
        self.locals.get(index as usize).copied().flatten().ok_or_else(|| internal("a local without variable"))
    }

    /// `local.get`
    pub(super) fn local_get(&mut self, index: u32) -> Result<(), Error> {
        let value = self.b.use_var(self.local(index)?);
        self.push(value); // traced locals are declared as variables
        Ok(())
    }

    /// `local.set`, of a value already popped.
    pub(super) fn local_set(&mut self, index: u32, value: Value) -> Result<(), Error> {
        let variable = self.local(index)?;
        self.b.def_var(variable, value);
        Ok(())
    }

    /// Address of the cell of global `index`.
    fn global_cell(&mut self, index: u32) -> Value {
        let globals = self.vmctx_field(offset_of!(VmCtx, globals));
        let flags = self.flags(Region::Constant).with_readonly().with_can_move();
        self.b.ins().load(I64, flags, globals, index as i32 * 8)
    }

    /// `global.get`
    pub(super) fn global_get(&mut self, index: u32) {
        let ty = self.m.globals[index as usize].content;
        let cell = self.global_cell(index);
        let flags = self.flags(Region::global(index, self.m.imported_globals));
        let value = self.b.ins().load(clif_type(&ty), flags, cell, 0);
        self.push_typed(value, &ty);
    }

    /// `global.set`
    pub(super) fn global_set(&mut self, index: u32) {
        let value = self.pop();
        let cell = self.global_cell(index);
        let flags = self.flags(Region::global(index, self.m.imported_globals));
        self.b.ins().store(flags, value, cell, 0);
    }
}
