//! Locals and globals. A local is a Cranelift variable; only locals that the body names get one. A variable of a traced
//! type is declared for stack maps before its first definition, which covers every value bound to it.
//!
//! SSA construction keeps a table of variables by blocks, so a function with very many of both holds its untraced
//! locals in frame slots instead.

use std::mem::offset_of;

use assay_gc::ValType;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, StackSlot, StackSlotData, StackSlotKind, Type, Value};
use cranelift_frontend::Variable;

use super::{FuncTranslator, Region, clif_type};
use crate::Error;
use crate::convert::internal;
use crate::vmctx::VmCtx;

/// Where a local is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Local {
    /// In SSA form.
    Variable(Variable),
    /// In the frame; never traced.
    Slot(StackSlot, Type),
}

impl FuncTranslator<'_> {
    /// Makes local `index` of type `ty`, holding `value` or the type's zero; in a frame slot, if it can be and `in_slot`.
    pub(super) fn declare_local(&mut self, index: u32, ty: &ValType, value: Option<Value>, in_slot: bool) {
        let clif = clif_type(ty);
        let value = value.unwrap_or_else(|| match clif {
            F32 => self.b.ins().f32const(Ieee32::with_bits(0)),
            F64 => self.b.ins().f64const(Ieee64::with_bits(0)),
            I64 => self.b.ins().iconst(I64, 0),
            I8X16 => self.vector_constant(I8X16, 0),
            _ => self.b.ins().iconst(I32, 0),
        });
        let traced = self.is_traced(ty);
        let local = if in_slot && !traced {
            let slot =
                StackSlotData::new(StackSlotKind::ExplicitSlot, clif.bytes(), clif.bytes().ilog2() as u8);
            let slot = self.b.create_sized_stack_slot(slot);
            self.b.ins().stack_store(I64, value, slot, 0);
            Local::Slot(slot, clif)
        } else {
            let variable = self.b.declare_var(clif);
            if traced {
                self.b.declare_var_needs_stack_map(variable);
                self.traced_locals += 1;
            }
            self.b.def_var(variable, value);
            Local::Variable(variable)
        };
        let index = index as usize;
        if self.locals.len() <= index {
            self.locals.resize(index + 1, None);
        }
        self.locals[index] = Some(local);
    }

    fn local(&self, index: u32) -> Result<Local, Error> {
        self.locals.get(index as usize).copied().flatten().ok_or_else(|| internal("a local without variable"))
    }

    /// `local.get`
    pub(super) fn local_get(&mut self, index: u32) -> Result<(), Error> {
        let value = match self.local(index)? {
            Local::Variable(variable) => self.b.use_var(variable),
            Local::Slot(slot, ty) => self.b.ins().stack_load(I64, ty, slot, 0),
        };
        self.push(value); // traced locals are declared as variables
        Ok(())
    }

    /// `local.set`, of a value already popped.
    pub(super) fn local_set(&mut self, index: u32, value: Value) -> Result<(), Error> {
        match self.local(index)? {
            Local::Variable(variable) => self.b.def_var(variable, value),
            Local::Slot(slot, _) => {
                self.b.ins().stack_store(I64, value, slot, 0);
            }
        }
        Ok(())
    }

    /// Address of the cell of global `index`.
    fn global_cell(&mut self, index: u32) -> Value {
        let globals = self.vmctx_field(offset_of!(VmCtx, globals));
        self.constant_field(I64, globals, index as i32 * 8)
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
        if self.is_traced(&self.m.globals[index as usize].content) {
            self.emit_root_store(flags, cell, value);
        } else {
            self.b.ins().store(flags, value, cell, 0);
        }
    }
}
