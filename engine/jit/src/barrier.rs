//! Emits the allocation and barrier shapes that a collector declares as data. The only file of this crate that looks
//! at [`Constraints`](assay_gc::Constraints); it never learns which collector it serves.
//!
//! The way of the data: the struct and array instructions describe an object of static size as a [`NewObject`] and get
//! its reference; their stores of references come through [`FuncTranslator::emit_ref_store`] (objects that the mutator
//! can reach) and [`FuncTranslator::emit_ref_init`] (objects made after the last safepoint).
//!
//! Invariant: between an inline bump and the stores of the object's slots there is no safepoint, so no collector ever
//! meets a half-made object.

use std::mem::offset_of;

use assay_gc::layout::Slot;
use assay_gc::{AllocShape, BarrierShape, BumpWindow, TypeId, header};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value};

use crate::TrapCode;
use crate::builtins::Builtin;
use crate::translate::{FuncTranslator, Region};
use crate::vmctx::StoreCtx;

/// An object of static size that is about to be allocated.
pub(crate) struct NewObject<'a> {
    /// Its canonical type.
    pub(crate) ty: TypeId,
    /// Bytes, header included: at most [`MAX_OBJECT_SIZE`](assay_gc::layout::MAX_OBJECT_SIZE).
    pub(crate) size: u32,
    /// An array's number of elements.
    pub(crate) length: Option<u32>,
    /// All slots, if they are to hold their defaults; `None` if the caller stores into each of them before the next
    /// safepoint.
    pub(crate) clear: Option<&'a [(u32, Slot)]>,
}

/// Objects with more slots to clear than this are left to the runtime: code must not grow by thousands of stores for a
/// two-byte instruction.
const MAX_INLINE_CLEARS: usize = 64;

impl FuncTranslator<'_> {
    /// Allocates `object` and writes its header and length; an array is charged one unit of fuel per element. Unless
    /// `object.clear` is given, the slots hold anything. The caller pushes the reference by `push_ref`.
    pub(crate) fn emit_alloc(&mut self, object: NewObject<'_>) -> Value {
        match self.constraints.alloc {
            AllocShape::Bump if object.clear.is_none_or(|slots| slots.len() <= MAX_INLINE_CLEARS) => {
                self.alloc_by_bump(&object)
            }
            AllocShape::Bump | AllocShape::Call => self.alloc_by_call(&object),
        }
    }

    /// The runtime allocates: a zeroed object with its header and length.
    fn alloc_by_call(&mut self, object: &NewObject<'_>) -> Value {
        let ty = self.b.ins().iconst(I32, i64::from(object.ty.0));
        let made = match object.length {
            None => self.builtin(Builtin::AllocStruct, &[ty]),
            Some(length) => {
                let length = self.b.ins().iconst(I32, i64::from(length));
                self.builtin(Builtin::AllocArray, &[ty, length])
            }
        };
        let made = made.expect("the allocation builtins have a result");
        self.b.declare_value_needs_stack_map(made);
        made
    }

    /// Takes the object from the window if it fits there, else by a call. The end is computed in 64 bits: no wrapping.
    fn alloc_by_bump(&mut self, object: &NewObject<'_>) -> Value {
        let (fits, full, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.append_block_param(done, I32);
        let window = self.window();
        let flags = self.flags(Region::Window);
        let next_at = offset_of!(BumpWindow, next) as i32;
        let reference = self.b.ins().load(I32, flags, window, next_at);
        let limit = self.b.ins().load(I32, flags, window, offset_of!(BumpWindow, end) as i32);
        let start = self.b.ins().uextend(I64, reference);
        let limit = self.b.ins().uextend(I64, limit);
        let end = self.b.ins().iadd_imm_u(start, i64::from(object.size));
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, end, limit);
        self.b.ins().brif(inside, fits, &[], full, &[]);
        self.b.seal_block(fits);
        self.b.seal_block(full);

        self.b.set_cold_block(full);
        self.b.switch_to_block(full);
        let made = self.alloc_by_call(object);
        self.b.ins().jump(done, &[BlockArg::Value(made)]);

        self.b.switch_to_block(fits);
        if let Some(length) = object.length {
            self.charge_elements(length);
        }
        let end = self.b.ins().ireduce(I32, end);
        self.b.ins().store(flags, end, window, next_at);
        let address = self.heap_address(reference);
        let header_flags = self.heap_flags(Region::Header);
        let ty = self.b.ins().iconst(I32, i64::from(object.ty.0));
        self.b.ins().store(header_flags, ty, address, header::TYPE_WORD as i32);
        let zero = self.b.ins().iconst(I32, 0);
        self.b.ins().store(header_flags, zero, address, header::GC_WORD as i32);
        if let Some(length) = object.length {
            let flags = self.heap_flags(Region::ArrayLength);
            let length = self.b.ins().iconst(I32, i64::from(length));
            self.b.ins().store(flags, length, address, header::ARRAY_LENGTH as i32);
        }
        for &(offset, slot) in object.clear.unwrap_or_default() {
            let zero = self.slot_zero(slot);
            self.init_slot(slot, address, offset, zero);
        }
        self.b.ins().jump(done, &[BlockArg::Value(reference)]);

        self.b.seal_block(done);
        self.b.switch_to_block(done);
        self.b.declare_value_needs_stack_map(result);
        result
    }

    /// Charges the inline allocation of an array, as `Builtin::AllocArray` does on the slow path.
    fn charge_elements(&mut self, elements: u32) {
        if !self.options.fuel || elements == 0 {
            return;
        }
        let store = self.store();
        let flags = self.flags(Region::Fuel);
        let at = offset_of!(StoreCtx, fuel) as i32;
        let fuel = self.b.ins().load(I64, flags, store, at);
        let left = self.b.ins().iadd_imm_s(fuel, -i64::from(elements));
        self.b.ins().store(flags, left, store, at);
        let spent = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, left, 0);
        self.trap_if(spent, TrapCode::OutOfFuel);
    }

    /// Stores the traced reference `value` at `address + offset`, a slot of `object`, which is neither null nor an i31.
    pub(crate) fn emit_ref_store(&mut self, object: Value, address: Value, offset: u32, value: Value) {
        match self.constraints.write_barrier {
            BarrierShape::None => {
                let _ = object; // what shapes that remember or mark will look at
                self.plain_ref_store(address, offset, value);
            }
        }
    }

    /// Stores a traced reference into an object that was allocated after the last safepoint: no collector has seen it
    /// and no old value is lost, so no shape needs more than the store.
    pub(crate) fn emit_ref_init(&mut self, address: Value, offset: u32, value: Value) {
        match self.constraints.write_barrier {
            BarrierShape::None => self.plain_ref_store(address, offset, value),
        }
    }

    fn plain_ref_store(&mut self, address: Value, offset: u32, value: Value) {
        let flags = self.heap_flags(Region::FieldRef);
        self.b.ins().store(flags, value, address, offset as i32);
    }
}
