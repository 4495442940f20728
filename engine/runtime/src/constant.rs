//! Constant expressions (spec "Constant Expressions"), evaluated on a stack of the store.
//!
//! Invariant: the stack is part of the roots, so a reference on it survives and follows the collections of later
//! instructions.

use assay_gc::layout::{Layout, Slot};
use assay_gc::{GcRef, TypeId};
use assay_jit::module::{ConstExpr, ConstOp};

use crate::Error;
use crate::store::StoreInner;

/// A value on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConstVal {
    /// A number, a vector or a func id.
    Bits(u128),
    /// A traced reference.
    Ref(GcRef),
}

impl ConstVal {
    /// Machine form.
    pub(crate) fn bits(self) -> u128 {
        match self {
            ConstVal::Bits(bits) => bits,
            ConstVal::Ref(word) => u128::from(word.0),
        }
    }
    /// The reference word or func id.
    pub(crate) fn word(self) -> GcRef {
        GcRef(self.bits() as u32)
    }
}

fn invalid() -> Error {
    Error::internal("invalid constant expression")
}

impl StoreInner {
    /// Evaluates `expr` in the (partly initialised) instance.
    pub(crate) fn evaluate(&mut self, instance: u32, expr: &ConstExpr) -> Result<ConstVal, Error> {
        let base = self.state.const_stack.len();
        let outcome = expr.0.iter().try_for_each(|op| self.step(instance, op));
        let result = self.state.const_stack.last().copied();
        let depth = self.state.const_stack.len();
        self.state.const_stack.truncate(base);
        outcome?;
        if depth == base + 1 { result.ok_or_else(invalid) } else { Err(invalid()) }
    }

    fn step(&mut self, instance: u32, op: &ConstOp) -> Result<(), Error> {
        let value = match *op {
            ConstOp::I32Const(value) => ConstVal::Bits(u128::from(value as u32)),
            ConstOp::I64Const(value) => ConstVal::Bits(u128::from(value as u64)),
            ConstOp::F32Const(bits) => ConstVal::Bits(u128::from(bits)),
            ConstOp::F64Const(bits) => ConstVal::Bits(u128::from(bits)),
            ConstOp::V128Const(bits) => ConstVal::Bits(bits),
            ConstOp::I32Add => self.binary32(u32::wrapping_add)?,
            ConstOp::I32Sub => self.binary32(u32::wrapping_sub)?,
            ConstOp::I32Mul => self.binary32(u32::wrapping_mul)?,
            ConstOp::I64Add => self.binary64(u64::wrapping_add)?,
            ConstOp::I64Sub => self.binary64(u64::wrapping_sub)?,
            ConstOp::I64Mul => self.binary64(u64::wrapping_mul)?,
            ConstOp::GlobalGet(index) => {
                let at = self.state.instances[instance as usize].globals.get(index as usize).copied();
                let global = &self.state.globals[at.ok_or_else(invalid)? as usize];
                let bits = global.bits();
                if global.traced { ConstVal::Ref(GcRef(bits as u32)) } else { ConstVal::Bits(bits) }
            }
            ConstOp::RefNull => ConstVal::Bits(0),
            ConstOp::RefFunc(index) => {
                let id = self.state.instances[instance as usize].func_id(index).ok_or_else(invalid)?;
                ConstVal::Bits(u128::from(id))
            }
            ConstOp::RefI31 => ConstVal::Ref(GcRef::i31(self.pop_const()?.bits() as u32)),
            ConstOp::StructNew(ty) => self.struct_new(ty)?,
            ConstOp::StructNewDefault(ty) => ConstVal::Ref(self.alloc_struct(ty)?),
            ConstOp::ArrayNew(ty) => {
                let len = self.pop_const()?.bits() as u32;
                let array = self.alloc_array(ty, len)?;
                let value = self.pop_const()?.bits();
                if value != 0 {
                    let filled = self.heap.fill_elements(array, 0, len, value);
                    filled.ok_or_else(|| Error::corrupt("not an array"))?;
                }
                ConstVal::Ref(array)
            }
            ConstOp::ArrayNewDefault(ty) => {
                let len = self.pop_const()?.bits() as u32;
                ConstVal::Ref(self.alloc_array(ty, len)?)
            }
            ConstOp::ArrayNewFixed(ty, len) => self.array_new_fixed(ty, len)?,
            ConstOp::Convert => match self.pop_const()? {
                ConstVal::Bits(bits) => ConstVal::Ref(GcRef(bits as u32)),
                word => word,
            },
        };
        self.state.const_stack.push(value);
        Ok(())
    }

    fn pop_const(&mut self) -> Result<ConstVal, Error> {
        self.state.const_stack.pop().ok_or_else(invalid)
    }

    fn binary32(&mut self, f: fn(u32, u32) -> u32) -> Result<ConstVal, Error> {
        let right = self.pop_const()?.bits() as u32;
        let left = self.pop_const()?.bits() as u32;
        Ok(ConstVal::Bits(u128::from(f(left, right))))
    }

    fn binary64(&mut self, f: fn(u64, u64) -> u64) -> Result<ConstVal, Error> {
        let right = self.pop_const()?.bits() as u64;
        let left = self.pop_const()?.bits() as u64;
        Ok(ConstVal::Bits(u128::from(f(left, right))))
    }

    fn struct_new(&mut self, ty: TypeId) -> Result<ConstVal, Error> {
        let layout = self.types().layout(ty).ok_or_else(invalid)?;
        let Layout::Struct(layout) = &*layout else { return Err(invalid()) };
        let object = self.alloc_struct(ty)?;
        let count = layout.fields.len();
        let first = self.state.const_stack.len().checked_sub(count).ok_or_else(invalid)?;
        for (index, (offset, slot)) in layout.fields.iter().enumerate() {
            let value = self.state.const_stack[first + index];
            self.store_slot(object, *offset, *slot, value.bits())?;
        }
        self.state.const_stack.truncate(first);
        Ok(ConstVal::Ref(object))
    }

    fn array_new_fixed(&mut self, ty: TypeId, len: u32) -> Result<ConstVal, Error> {
        let layout = self.types().layout(ty).ok_or_else(invalid)?;
        let Layout::Array(layout) = &*layout else { return Err(invalid()) };
        let array = self.alloc_array(ty, len)?;
        let first = self.state.const_stack.len().checked_sub(len as usize).ok_or_else(invalid)?;
        for index in 0..len {
            let value = self.state.const_stack[first + index as usize];
            self.store_slot(
                array,
                layout.base + index * layout.element.size(),
                layout.element,
                value.bits(),
            )?;
        }
        self.state.const_stack.truncate(first);
        Ok(ConstVal::Ref(array))
    }

    /// Writes a field or element, with the collector's barrier where it is traced.
    pub(crate) fn store_slot(
        &mut self,
        object: GcRef,
        offset: u32,
        slot: Slot,
        bits: u128,
    ) -> Result<(), Error> {
        let done = match slot {
            Slot::Ref => self.heap.write_ref(object, offset, GcRef(bits as u32)),
            _ => self.heap.write(object, offset, slot.size(), bits),
        };
        done.ok_or_else(|| Error::corrupt("write outside of the heap"))
    }
}
