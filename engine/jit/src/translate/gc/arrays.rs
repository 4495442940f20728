//! The array instructions. Element accesses are inline; operations on ranges and segments call the runtime, which
//! makes their null and bounds checks, charges their fuel and knows the barriers.

use assay_gc::header;
use assay_gc::layout::{ArrayLayout, Slot};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, InstructionData, Opcode, Value};

use super::slots::Extend;
use crate::barrier::NewObject;
use crate::builtins::Builtin;
use crate::translate::{FuncTranslator, Region};
use crate::{Error, TrapCode};

/// Making arrays.
impl FuncTranslator<'_> {
    /// `array.new`: the runtime allocates (and charges), the fill is a loop without safepoints. `ArrayFill` is not
    /// called, since it would charge the elements again.
    pub(super) fn array_new(&mut self, index: u32) -> Result<(), Error> {
        let layout = self.array_layout(index)?;
        let length = self.pop();
        let value = self.pop();
        let array = self.alloc_array(index, length);
        if !self.is_zero(value) {
            self.fill_fresh(array, &layout, value, length);
        }
        self.push_ref(array);
        Ok(())
    }

    /// `array.new_default`.
    pub(super) fn array_new_default(&mut self, index: u32) -> Result<(), Error> {
        self.array_layout(index)?;
        let length = self.pop();
        let array = self.alloc_array(index, length);
        self.push_ref(array);
        Ok(())
    }

    /// `array.new_fixed`: of static size, so allocated like a struct.
    pub(super) fn array_new_fixed(&mut self, index: u32, count: u32) -> Result<(), Error> {
        let layout = self.array_layout(index)?;
        self.count_passed(count as usize)?;
        let ty = self.type_id(index);
        let values = self.pop_n(count as usize);
        let Some(size) = layout.size(count) else {
            let always = self.iconst32(1);
            self.trap_if(always, TrapCode::AllocationTooLarge);
            let null = self.null();
            self.push_ref(null);
            return Ok(());
        };
        let array = self.emit_alloc(NewObject { ty, size, length: Some(count), clear: None });
        if count > 0 {
            let address = self.heap_address(array);
            let mut offset = layout.base;
            for &value in &values {
                self.init_slot(layout.element, address, offset, value);
                offset += layout.element.size();
            }
        }
        self.push_ref(array);
        Ok(())
    }

    /// `array.new_data`.
    pub(super) fn array_new_data(&mut self, index: u32, data: u32) -> Result<(), Error> {
        self.new_from_segment(Builtin::ArrayNewData, index, data)
    }

    /// `array.new_elem`.
    pub(super) fn array_new_elem(&mut self, index: u32, elem: u32) -> Result<(), Error> {
        self.new_from_segment(Builtin::ArrayNewElem, index, elem)
    }

    fn new_from_segment(&mut self, builtin: Builtin, index: u32, segment: u32) -> Result<(), Error> {
        self.array_layout(index)?;
        let length = self.pop();
        let start = self.pop();
        let ty = self.type_id(index);
        let ty = self.b.ins().iconst(I32, i64::from(ty.0));
        let segment = self.b.ins().iconst(I32, i64::from(segment));
        let array = self.call_for_ref(builtin, &[ty, segment, start, length]);
        self.push_ref(array);
        Ok(())
    }

    /// A zeroed array of `length` elements, not pushed yet but declared.
    fn alloc_array(&mut self, index: u32, length: Value) -> Value {
        let ty = self.type_id(index);
        let ty = self.b.ins().iconst(I32, i64::from(ty.0));
        self.call_for_ref(Builtin::AllocArray, &[ty, length])
    }

    /// Calls a builtin that gives a traced reference and declares it.
    fn call_for_ref(&mut self, builtin: Builtin, args: &[Value]) -> Value {
        let array = self.builtin(builtin, args).expect("the builtins that make arrays have a result");
        self.b.declare_value_needs_stack_map(array);
        array
    }

    /// Whether `value` is a constant of all bits zero, which a new array holds already.
    pub(crate) fn is_zero(&self, value: Value) -> bool {
        let dfg = &self.b.func.dfg;
        let Some(inst) = dfg.value_def(dfg.resolve_aliases(value)).inst() else { return false };
        match dfg.insts[inst] {
            InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => imm.bits() == 0,
            InstructionData::UnaryIeee32 { opcode: Opcode::F32const, imm } => imm.bits() == 0,
            InstructionData::UnaryIeee64 { opcode: Opcode::F64const, imm } => imm.bits() == 0,
            InstructionData::UnaryConst { opcode: Opcode::Vconst, constant_handle } => {
                dfg.constants.get(constant_handle).iter().all(|byte| *byte == 0)
            }
            _ => false,
        }
    }

    /// Stores `value` into each element of an array that was allocated by the last call: no safepoint since.
    ///
    /// Addresses run in 64 bits from the array's own to that plus the bytes of its elements: the runtime has just made
    /// the array of `length` elements, so they stay inside the object.
    fn fill_fresh(&mut self, array: Value, layout: &ArrayLayout, value: Value, length: Value) {
        let (head, body, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let at = self.b.append_block_param(head, I64);
        // The value goes in as a parameter that is *not* declared, since nothing in the loop is a safepoint: so it
        // stays in a register, while a declared one would be loaded from its frame slot in each round.
        let ty = self.b.func.dfg.value_type(value);
        let element = self.b.append_block_param(head, ty);
        let start = self.heap_address(array);
        let bytes = self.b.ins().uextend(I64, length);
        let bytes = self.shifted(bytes, layout.element.size().trailing_zeros());
        let end = self.b.ins().iadd(start, bytes);
        self.b.ins().jump(head, &[BlockArg::Value(start), BlockArg::Value(value)]);

        self.b.switch_to_block(head);
        let finished = self.b.ins().icmp(IntCC::Equal, at, end);
        self.b.ins().brif(finished, done, &[], body, &[]);
        self.b.seal_block(body);
        self.b.seal_block(done);

        self.b.switch_to_block(body);
        self.init_slot(layout.element, at, layout.base, element);
        let next = self.plus(at, i64::from(layout.element.size()));
        self.b.ins().jump(head, &[BlockArg::Value(next), BlockArg::Value(element)]);
        self.b.seal_block(head);
        self.b.switch_to_block(done);
    }
}

/// Single elements, and the length.
impl FuncTranslator<'_> {
    /// `array.get` and its packed forms.
    pub(super) fn array_get(&mut self, index: u32, extend: Extend) -> Result<(), Error> {
        let layout = self.array_layout(index)?;
        let at = self.pop();
        let array = self.pop();
        let address = self.element_address(array, at, layout.element);
        let value = self.load_slot(layout.element, extend, address, layout.base)?;
        self.push_slot(layout.element, value);
        Ok(())
    }

    /// `array.set`.
    pub(super) fn array_set(&mut self, index: u32) -> Result<(), Error> {
        let layout = self.array_layout(index)?;
        let value = self.pop();
        let at = self.pop();
        let array = self.pop();
        let address = self.element_address(array, at, layout.element);
        self.store_slot(layout.element, address, layout.base, value);
        Ok(())
    }

    /// `array.len`.
    pub(super) fn array_len(&mut self) -> Result<(), Error> {
        let array = self.pop();
        let length = self.length(array);
        self.push(length);
        Ok(())
    }

    /// The length of `array`, checked for null.
    fn length(&mut self, array: Value) -> Value {
        let address = self.object_address(array);
        let flags = self.heap_flags(Region::ArrayLength);
        self.b.ins().load(I32, flags, address, header::ARRAY_LENGTH as i32)
    }

    /// Address of element `at` of `array`, less the array layout's base; checked for null and bounds. The sum wraps at
    /// 32 bits, so that a corrupt length cannot lead out of the heap's reservation.
    fn element_address(&mut self, array: Value, at: Value, element: Slot) -> Value {
        let length = self.length(array);
        let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, at, length);
        self.trap_if(outside, TrapCode::ArrayOutOfBounds);
        let offset = self.shifted(at, element.size().trailing_zeros());
        let word = self.word(array);
        let array = self.b.ins().ireduce(I32, word);
        let offset = self.b.ins().iadd(array, offset);
        self.heap_address(offset)
    }
}

/// Ranges: calls of the runtime.
impl FuncTranslator<'_> {
    /// `array.fill`.
    pub(super) fn array_fill(&mut self, index: u32) -> Result<(), Error> {
        let layout = self.array_layout(index)?;
        let operands = self.pop_n(4);
        let (low, high) = self.slot_bits(layout.element, operands[2]);
        self.builtin(Builtin::ArrayFill, &[operands[0], operands[1], low, high, operands[3]]);
        Ok(())
    }

    /// `array.copy`: the runtime reads both layouts from the objects.
    pub(super) fn array_copy(&mut self) -> Result<(), Error> {
        let operands = self.pop_n(5);
        self.builtin(Builtin::ArrayCopy, &operands);
        Ok(())
    }

    /// `array.init_data`.
    pub(super) fn array_init_data(&mut self, data: u32) -> Result<(), Error> {
        self.init_from_segment(Builtin::ArrayInitData, data)
    }

    /// `array.init_elem`.
    pub(super) fn array_init_elem(&mut self, elem: u32) -> Result<(), Error> {
        self.init_from_segment(Builtin::ArrayInitElem, elem)
    }

    fn init_from_segment(&mut self, builtin: Builtin, segment: u32) -> Result<(), Error> {
        let operands = self.pop_n(4);
        let segment = self.b.ins().iconst(I32, i64::from(segment));
        self.builtin(builtin, &[operands[0], operands[1], segment, operands[2], operands[3]]);
        Ok(())
    }
}
