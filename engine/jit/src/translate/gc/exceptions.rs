//! The objects behind exception references: a tag's number, then the payload, laid out like the fields of a struct in a
//! hidden type (see [`SubType::exception`](assay_gc::SubType::exception)), so that collectors trace payloads as they
//! trace structs. Which code an exception reaches is the matter of [`exceptions`](crate::translate).

use std::mem::offset_of;
use std::sync::Arc;

use assay_gc::header;
use assay_gc::layout::{EXCEPTION_TAG_SLOT, Layout};
use cranelift_codegen::ir::Value;
use cranelift_codegen::ir::types::I32;

use super::slots::{Extend, as_struct};
use crate::Error;
use crate::barrier::NewObject;
use crate::convert::internal;
use crate::translate::FuncTranslator;
use crate::vmctx::VmCtx;

impl FuncTranslator<'_> {
    /// Allocates an exception of tag `index` with the operands on the stack. They survive the allocation's slow path,
    /// since each was declared when it was pushed; so is the result.
    pub(crate) fn new_exception(&mut self, index: u32) -> Result<Value, Error> {
        let layout = self.exception_layout(index)?;
        let layout = as_struct(&layout)?;
        let (tag_field, fields) =
            layout.fields.split_first().ok_or_else(|| internal("an exception without a tag"))?;
        self.count_passed(fields.len())?;
        let values = self.pop_n(fields.len());
        let ty = self.m.exceptions[index as usize];
        let exception = self.emit_alloc(NewObject { ty, size: layout.size, length: None, clear: None });
        let address = self.heap_address(exception);
        let number = self.tag_number(index);
        self.init_slot(tag_field.1, address, tag_field.0, number);
        for (&(offset, slot), &value) in fields.iter().zip(values.iter()) {
            self.init_slot(slot, address, offset, value);
        }
        Ok(exception)
    }

    /// The number in the store of this instance's tag `index`.
    pub(crate) fn tag_number(&mut self, index: u32) -> Value {
        let tags = self.vmctx_field(offset_of!(VmCtx, tags));
        self.constant_field(I32, tags, index as i32 * 4)
    }

    /// The number in the store of the tag of `exception`, which is not null.
    pub(crate) fn exception_tag(&mut self, exception: Value) -> Result<Value, Error> {
        let address = self.heap_address(exception);
        self.load_slot(EXCEPTION_TAG_SLOT, Extend::None, address, header::EXCEPTION_TAG)
    }

    /// Pushes the payload of `exception`, whose tag has been found to be `index`.
    pub(crate) fn push_payload(&mut self, exception: Value, index: u32) -> Result<(), Error> {
        let layout = self.exception_layout(index)?;
        let layout = as_struct(&layout)?;
        self.count_passed(layout.fields.len())?;
        let address = self.heap_address(exception);
        for &(offset, slot) in layout.fields.iter().skip(1) {
            let value = self.load_slot(slot, Extend::None, address, offset)?;
            self.push_slot(slot, value);
        }
        Ok(())
    }

    fn exception_layout(&self, index: u32) -> Result<Arc<Layout>, Error> {
        let ty = self.m.exceptions.get(index as usize).ok_or_else(|| internal("a tag without a type"))?;
        self.types.layout(*ty).ok_or_else(|| internal("a live type without a layout"))
    }
}
