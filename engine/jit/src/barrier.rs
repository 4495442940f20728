//! Emits the allocation and barrier shapes that a collector declares as data. The only file of this crate that looks
//! at the [`CodeShape`](assay_gc::CodeShape); it never learns which collector it serves.
//!
//! The way of the data: the struct and array instructions describe an object of static size as a [`NewObject`] and get
//! its reference; their stores of references come through [`FuncTranslator::emit_ref_store`] (objects that the mutator
//! can reach) and [`FuncTranslator::emit_ref_init`] (objects made after the last safepoint); stores into globals and
//! tables through [`FuncTranslator::emit_root_store`].
//!
//! Barriers make no calls: a call would be a safepoint and spill every live reference around each store. What a barrier
//! has to tell goes into the mutator's log or the card table; what a full log loses is counted, which the collector looks
//! at.
//!
//! Invariant: between an inline allocation and the stores of the object's slots there is no safepoint, so no collector
//! ever meets a half-made object.

use std::mem::offset_of;

use assay_gc::layout::Slot;
use assay_gc::{
    AllocShape, BarrierShape, CARD_SHIFT, COUNT_LOGGED, COUNT_ONE, Mutator, TypeId, header, size_class,
};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Value};

use crate::builtins::Builtin;
use crate::translate::{FuncTranslator, Mark, Region};

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
        let few = object.clear.is_none_or(|slots| slots.len() <= MAX_INLINE_CLEARS);
        let inline = few && object.size <= self.shape.inline_max;
        match (self.shape.alloc, size_class(object.size)) {
            (AllocShape::Bump, _) if inline => self.alloc_by_bump(&object),
            (AllocShape::FreeList, Some(class)) if inline => self.alloc_by_pop(&object, class),
            (AllocShape::Bump | AllocShape::FreeList | AllocShape::Call, _) => self.alloc_by_call(&object),
        }
    }

    /// The runtime allocates: a zeroed object with its header and length.
    fn alloc_by_call(&mut self, object: &NewObject<'_>) -> Value {
        let ty = self.iconst32(object.ty.0);
        let made = match object.length {
            None => self.builtin(Builtin::AllocStruct, &[ty]),
            Some(length) => {
                let length = self.iconst32(length);
                self.builtin(Builtin::AllocArray, &[ty, length])
            }
        };
        let made = made.expect("the allocation builtins have a result");
        self.b.declare_value_needs_stack_map(made);
        made
    }

    /// Takes the object from the window if it fits there, else by a call. The end is computed in 64 bits: no wrapping.
    fn alloc_by_bump(&mut self, object: &NewObject<'_>) -> Value {
        let mutator = self.mutator();
        let flags = self.flags(Region::Mutator);
        let next_at = offset_of!(Mutator, next) as i32;
        let reference = self.b.ins().load(I32, flags, mutator, next_at);
        let limit = self.b.ins().uload32(flags, mutator, offset_of!(Mutator, end) as i32);
        let start = self.word(reference);
        let end = self.plus(start, i64::from(object.size));
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, end, limit);
        let otherwise = self.unless_call(inside, object);
        self.b.ins().istore32(flags, end, mutator, next_at);
        self.finish_inline(object, reference, otherwise)
    }

    /// Takes the first free cell of the object's class if there is one, else calls. The next one's offset stands in the
    /// cell's collector's word.
    fn alloc_by_pop(&mut self, object: &NewObject<'_>, class: usize) -> Value {
        let mutator = self.mutator();
        let flags = self.flags(Region::Mutator);
        let head_at = (offset_of!(Mutator, heads) + 4 * class) as i32;
        let reference = self.b.ins().load(I32, flags, mutator, head_at);
        let otherwise = self.unless_call(reference, object);
        let address = self.heap_address(reference);
        let word_flags = self.heap_flags(Region::GcWord);
        let next = self.b.ins().load(I32, word_flags, address, header::GC_WORD as i32);
        self.b.ins().store(flags, next, mutator, head_at);
        self.finish_inline(object, reference, otherwise)
    }

    /// Goes on in a block that runs only if `inline` holds, with fuel charged; the block that is returned, still empty,
    /// runs otherwise.
    fn unless_call(&mut self, inline: Value, object: &NewObject<'_>) -> (Block, Mark) {
        let (fits, full) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(full);
        let before = self.mark();
        self.b.ins().brif(inline, fits, &[], full, &[]);
        self.b.seal_block(full);
        self.enter(fits);
        if let Some(length) = object.length {
            self.charge_elements(length);
        }
        (full, before)
    }

    /// Writes header, length and defaults of the object at `reference`, fills the other block with a call that allocates,
    /// and goes on behind both; the object is the parameter of that block.
    fn finish_inline(
        &mut self,
        object: &NewObject<'_>,
        reference: Value,
        (full, before): (Block, Mark),
    ) -> Value {
        let address = self.heap_address(reference);
        let header_flags = self.heap_flags(Region::Header);
        let ty = self.iconst32(object.ty.0);
        self.b.ins().store(header_flags, ty, address, header::TYPE_WORD as i32);
        let fresh = if self.shape.gc_word {
            let mutator = self.mutator();
            let flags = self.flags(Region::Mutator);
            self.b.ins().load(I32, flags, mutator, offset_of!(Mutator, fresh) as i32)
        } else {
            self.iconst32(0)
        };
        let word_flags = self.heap_flags(Region::GcWord);
        self.b.ins().store(word_flags, fresh, address, header::GC_WORD as i32);
        if let Some(length) = object.length {
            let flags = self.heap_flags(Region::ArrayLength);
            let length = self.iconst32(length);
            self.b.ins().store(flags, length, address, header::ARRAY_LENGTH as i32);
        }
        for &(offset, slot) in object.clear.unwrap_or_default() {
            let zero = self.slot_zero(slot);
            self.store_scalar(slot, address, offset, zero);
        }
        let done = self.b.create_block();
        let result = self.b.append_block_param(done, I32);
        self.b.ins().jump(done, &[reference.into()]);

        self.join(full, before);
        let made = self.alloc_by_call(object);
        self.b.ins().jump(done, &[made.into()]);

        self.b.seal_block(done);
        self.join(done, before);
        self.b.declare_value_needs_stack_map(result);
        result
    }

    /// Stores the traced reference `value` at `address + offset`, a slot of an object that the mutator can reach.
    pub(crate) fn emit_ref_store(&mut self, address: Value, offset: u32, value: Value) {
        let flags = self.heap_flags(Region::FieldRef);
        match self.shape.write_barrier {
            BarrierShape::None => {}
            // A null is no reference to anything young.
            BarrierShape::Card if self.is_zero(value) => {}
            BarrierShape::Card => self.mark_card(address, offset),
            BarrierShape::Count => self.count_store(flags, address, offset, value),
            BarrierShape::Snapshot => self.log_overwritten(flags, address, offset),
        }
        self.b.ins().store(flags, value, address, offset as i32);
    }

    /// Stores a traced reference into an object that was allocated after the last safepoint: no collector has seen it,
    /// no old value is lost (the slot may hold anything yet), and no collector remembers young objects.
    pub(crate) fn emit_ref_init(&mut self, address: Value, offset: u32, value: Value) {
        match self.shape.write_barrier {
            BarrierShape::Card if self.options.slow_barriers => self.mark_card(address, offset),
            BarrierShape::None | BarrierShape::Card | BarrierShape::Snapshot => {}
            BarrierShape::Count => self.count_up(value),
        }
        let flags = self.heap_flags(Region::FieldRef);
        self.b.ins().store(flags, value, address, offset as i32);
    }

    /// Stores a traced reference into a global or a table.
    pub(crate) fn emit_root_store(&mut self, flags: MemFlagsData, address: Value, value: Value) {
        if self.shape.barrier_on_roots {
            self.count_store(flags, address, 0, value);
        }
        self.b.ins().store(flags, value, address, 0);
    }

    /// Marks the card of the slot at `address + offset`. The table covers the reservation and its guard, so any address
    /// that a heap access can have has a card.
    fn mark_card(&mut self, address: Value, offset: u32) {
        let base = self.heap_base();
        let from_base = self.b.ins().isub(address, base);
        let slot = self.plus(from_base, i64::from(offset));
        let card = self.b.ins().ushr_imm_u(slot, i64::from(CARD_SHIFT));
        let mutator = self.mutator();
        let cards = self.constant_field(I64, mutator, offset_of!(Mutator, cards) as i32);
        let at = self.b.ins().iadd(cards, card);
        let dirty = self.iconst32(1);
        let flags = self.flags(Region::Cards);
        self.b.ins().istore8(flags, dirty, at, 0);
    }

    /// The counts of a store of `value` over what stands at `address + offset`: first up, then down.
    fn count_store(&mut self, flags: MemFlagsData, address: Value, offset: u32, value: Value) {
        self.count_up(value);
        let old = self.b.ins().load(I32, flags, address, offset as i32);
        let after = self.if_object(old);
        let (at, flags, count) = self.collector_word(old);
        let left = self.plus(count, -i64::from(COUNT_ONE));
        self.b.ins().store(flags, left, at, header::GC_WORD as i32);
        let zero = self.b.create_block();
        self.b.set_cold_block(zero);
        self.b.ins().brif(left, after.0, &[], zero, &[]);
        self.enter(zero);
        let lost = self.push_log(old);
        let logged = self.iconst(I32, i64::from(COUNT_LOGGED));
        self.b.ins().store(flags, logged, at, header::GC_WORD as i32);
        self.go_on(lost);
        self.go_on(after);
    }

    /// Counts the referent of `value` up.
    fn count_up(&mut self, value: Value) {
        if self.is_zero(value) {
            return;
        }
        let after = self.if_object(value);
        let (at, flags, count) = self.collector_word(value);
        let more = self.plus(count, i64::from(COUNT_ONE));
        self.b.ins().store(flags, more, at, header::GC_WORD as i32);
        self.go_on(after);
    }

    /// While marking: marks and logs what stands at `address + offset`, unless it is marked. What the log has no room for
    /// is not marked.
    fn log_overwritten(&mut self, flags: MemFlagsData, address: Value, offset: u32) {
        let mutator = self.mutator();
        let state = self.flags(Region::Mutator);
        let marking = self.b.ins().load(I32, state, mutator, offset_of!(Mutator, marking) as i32);
        let (active, after) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(active);
        let before = self.mark();
        self.b.ins().brif(marking, active, &[], after, &[]);
        self.enter(active);
        let old = self.b.ins().load(I32, flags, address, offset as i32);
        let none = self.if_object(old);
        let (at, word_flags, word) = self.collector_word(old);
        let colour = self.b.ins().load(I32, state, mutator, offset_of!(Mutator, colour) as i32);
        let marked = self.b.ins().icmp(IntCC::Equal, word, colour);
        let white = self.b.create_block();
        self.b.ins().brif(marked, none.0, &[], white, &[]);
        self.enter(white);
        let lost = self.push_log(old);
        let fresh = self.b.ins().load(I32, state, mutator, offset_of!(Mutator, fresh) as i32);
        self.b.ins().store(word_flags, fresh, at, header::GC_WORD as i32);
        self.go_on(lost);
        self.go_on(none);
        self.go_on((after, before));
    }

    /// Address of the object behind `reference`, flags for its collector's word, and that word.
    fn collector_word(&mut self, reference: Value) -> (Value, MemFlagsData, Value) {
        let at = self.heap_address(reference);
        let flags = self.heap_flags(Region::GcWord);
        (at, flags, self.b.ins().load(I32, flags, at, header::GC_WORD as i32))
    }

    /// Goes on in a block that runs only if `word` refers to an object; the block that is returned runs next in any
    /// case, by [`Self::go_on`].
    ///
    /// Turned right by one bit, an i31 is negative, null is 0, and an object's offset, which is even, is positive.
    fn if_object(&mut self, word: Value) -> (Block, Mark) {
        let (object, after) = (self.b.create_block(), self.b.create_block());
        let word = self.word(word);
        let one = self.iconst(I64, 1);
        let turned = self.b.ins().rotr(word, one);
        let is_object = self.compare_to(IntCC::SignedGreaterThan, turned, 0);
        let before = self.mark();
        self.b.ins().brif(is_object, object, &[], after, &[]);
        self.enter(object);
        (after, before)
    }

    /// Ends the present block and goes on in another, all of whose predecessors are known now and come from the mark.
    fn go_on(&mut self, (block, before): (Block, Mark)) {
        self.b.ins().jump(block, &[]);
        self.b.seal_block(block);
        self.join(block, before);
    }

    /// Pushes `word` into the log and goes on in a block that runs only then, or counts it as lost if the log is full; the
    /// block that is returned runs next in any case, by [`Self::go_on`].
    fn push_log(&mut self, word: Value) -> (Block, Mark) {
        let mutator = self.mutator();
        let state = self.flags(Region::Mutator);
        let next_at = offset_of!(Mutator, log_next) as i32;
        let next = self.b.ins().load(I64, state, mutator, next_at);
        let end = self.b.ins().load(I64, state, mutator, offset_of!(Mutator, log_end) as i32);
        let room = self.b.ins().icmp(IntCC::UnsignedLessThan, next, end);
        let (push, full, after) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let before = self.mark();
        self.b.ins().brif(room, push, &[], full, &[]);
        self.b.seal_block(push);
        self.b.set_cold_block(full);
        self.enter(full);
        let lost_at = offset_of!(Mutator, log_lost) as i32;
        let lost = self.b.ins().load(I64, state, mutator, lost_at);
        let lost = self.plus(lost, 1);
        self.b.ins().store(state, lost, mutator, lost_at);
        self.b.ins().jump(after, &[]);
        self.join(push, before);
        let log = self.flags(Region::Log);
        self.b.ins().store(log, word, next, 0);
        let next = self.plus(next, 4);
        self.b.ins().store(state, next, mutator, next_at);
        (after, before)
    }
}
