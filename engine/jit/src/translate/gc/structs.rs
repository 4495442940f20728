//! `struct.new`, `struct.new_default`, `struct.get`, `struct.get_s/u`, `struct.set`.

use assay_gc::layout::Slot;
use cranelift_codegen::ir::Value;

use super::internal;
use super::slots::Extend;
use crate::barrier::NewObject;
use crate::translate::FuncTranslator;
use crate::{Error, TrapCode};

impl FuncTranslator<'_> {
    /// `struct.new`. The operands survive the allocation's slow path, since each was declared when it was pushed.
    pub(super) fn struct_new(&mut self, index: u32) -> Result<(), Error> {
        let (ty, layout) = self.struct_layout(index)?;
        let values = self.pop_n(layout.fields.len());
        let object = self.emit_alloc(NewObject { ty, size: layout.size, length: None, clear: &[] });
        if !layout.fields.is_empty() {
            let address = self.heap_address(object);
            for (&(offset, slot), &value) in layout.fields.iter().zip(values.iter()) {
                self.init_slot(slot, address, offset, value);
            }
        }
        self.push_ref(object);
        Ok(())
    }

    /// `struct.new_default`.
    pub(super) fn struct_new_default(&mut self, index: u32) -> Result<(), Error> {
        let (ty, layout) = self.struct_layout(index)?;
        let object = self.emit_alloc(NewObject { ty, size: layout.size, length: None, clear: &layout.fields });
        self.push_ref(object);
        Ok(())
    }

    /// `struct.get` and its packed forms.
    pub(super) fn struct_get(&mut self, index: u32, field: u32, extend: Extend) -> Result<(), Error> {
        let (offset, slot) = self.struct_field(index, field)?;
        let object = self.pop();
        let address = self.object_address(object);
        let value = self.load_slot(slot, extend, address, offset)?;
        self.push_slot(slot, value);
        Ok(())
    }

    /// `struct.set`.
    pub(super) fn struct_set(&mut self, index: u32, field: u32) -> Result<(), Error> {
        let (offset, slot) = self.struct_field(index, field)?;
        let value = self.pop();
        let object = self.pop();
        let address = self.object_address(object);
        self.store_slot(slot, object, address, offset, value);
        Ok(())
    }

    /// Offset and kind of a struct's field.
    fn struct_field(&self, index: u32, field: u32) -> Result<(u32, Slot), Error> {
        let (_, layout) = self.struct_layout(index)?;
        layout
            .fields
            .get(field as usize)
            .copied()
            .ok_or_else(|| internal(format!("struct type {index} has no field {field}")))
    }

    /// Address of `object`, checked for null.
    pub(super) fn object_address(&mut self, object: Value) -> Value {
        self.trap_if_zero(object, TrapCode::NullReference);
        self.heap_address(object)
    }
}
