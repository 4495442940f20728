//! `struct.new`, `struct.new_default`, `struct.get`, `struct.get_s/u`, `struct.set`.

use assay_gc::layout::Slot;
use cranelift_codegen::ir::Value;

use super::slots::{Extend, as_struct};
use crate::barrier::NewObject;
use crate::convert::internal;
use crate::translate::FuncTranslator;
use crate::{Error, TrapCode};

impl FuncTranslator<'_> {
    /// `struct.new`. The operands survive the allocation's slow path, since each was declared when it was pushed.
    pub(super) fn struct_new(&mut self, index: u32) -> Result<(), Error> {
        let layout = self.layout(index)?;
        let layout = as_struct(&layout)?;
        self.count_passed(layout.fields.len())?;
        let values = self.pop_n(layout.fields.len());
        let ty = self.type_id(index);
        let object = self.emit_alloc(NewObject { ty, size: layout.size, length: None, clear: None });
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
        let layout = self.layout(index)?;
        let layout = as_struct(&layout)?;
        let ty = self.type_id(index);
        let clear = Some(&*layout.fields);
        let object = self.emit_alloc(NewObject { ty, size: layout.size, length: None, clear });
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
        self.store_slot(slot, address, offset, value);
        Ok(())
    }

    /// Offset and kind of a struct's field.
    fn struct_field(&self, index: u32, field: u32) -> Result<(u32, Slot), Error> {
        let layout = self.layout(index)?;
        let field = as_struct(&layout)?.fields.get(field as usize);
        field.copied().ok_or_else(|| internal("a field index out of range in a validated module"))
    }

    /// Address of `object`, checked for null.
    pub(super) fn object_address(&mut self, object: Value) -> Value {
        let word = self.word(object);
        self.trap_if_zero(word, TrapCode::NullReference);
        self.heap_address(object)
    }
}
