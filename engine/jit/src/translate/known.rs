//! What the code at hand has computed before: constants, fields that never change, and what derives from references.
//! Without optimisation nobody else merges such values, and Cranelift's time goes by the instruction.
//!
//! The way of the data: who needs such a value asks [`FuncTranslator::iconst`], [`FuncTranslator::constant_field`],
//! [`FuncTranslator::word`] or [`FuncTranslator::heap_address`], which emit it only if no entry has it.
//!
//! Invariants:
//! 1. An entry is used where its value dominates. Entries stand for one block. [`FuncTranslator::enter`] takes them along
//!    into a block that has no other predecessor, [`FuncTranslator::join`] those along that were there at a [`Mark`] that
//!    every way into the block has passed, the latest mark first; any other switch of blocks ends them, without being told.
//! 2. What derives from a reference is forgotten at each call ([`FuncTranslator::forget_references`]): a collection may
//!    move the object, and the next use must come from the reference's slot in the frame.
//! 3. No constant is declared for stack maps: null, which is when it becomes the value of a local, is a constant of its
//!    own ([`FuncTranslator::null`]), and forgotten like what derives from references.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, Type, Value};

use super::{FuncTranslator, Region};

/// Most entries of a kind: searches stay short. Where there would be more, all are forgotten.
const MAX_ENTRIES: usize = 24;

/// The entries.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Where they hold.
    block: Option<Block>,
    /// (type, value, constant).
    constants: Vec<(Type, i64, Value)>,
    /// (base, offset, what stands there).
    fields: Vec<(Value, i32, Value)>,
    /// (reference, the same in 64 bits).
    words: Vec<(Value, Value)>,
    /// (reference, address of the object).
    addresses: Vec<(Value, Value)>,
    /// A null reference.
    null: Option<Value>,
    /// How often all were forgotten.
    emptied: u32,
    /// Calls so far.
    calls: u32,
}

/// A place in the code, with the entries that hold there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    emptied: u32,
    calls: u32,
    constants: usize,
    fields: usize,
    words: usize,
    addresses: usize,
    null: Option<Value>,
}

impl Known {
    fn forget(&mut self) {
        self.constants.clear();
        self.fields.clear();
        self.forget_references();
        self.emptied += 1;
    }

    fn forget_references(&mut self) {
        self.words.clear();
        self.addresses.clear();
        self.null = None;
    }

    /// Makes the entries those of `block`, which every way enters over `mark`.
    fn go_back(&mut self, mark: Mark, block: Block) {
        self.block = Some(block);
        if mark.emptied != self.emptied {
            self.forget();
            return;
        }
        debug_assert!(
            self.constants.len() >= mark.constants && self.fields.len() >= mark.fields,
            "marks nest"
        );
        self.constants.truncate(mark.constants);
        self.fields.truncate(mark.fields);
        if mark.calls == self.calls {
            self.words.truncate(mark.words);
            self.addresses.truncate(mark.addresses);
            self.null = mark.null;
        } else {
            self.forget_references();
        }
    }

    /// Makes room for one more entry of each kind.
    fn make_room(&mut self) {
        let longest = [self.constants.len(), self.fields.len(), self.words.len(), self.addresses.len()];
        if longest.iter().any(|len| *len >= MAX_ENTRIES) {
            self.forget();
        }
    }
}

/// From block to block.
impl FuncTranslator<'_> {
    /// The entries that hold in the block at hand.
    fn known(&mut self) -> &mut Known {
        let block = self.b.current_block();
        if self.known.block != block {
            self.known.forget();
            self.known.block = block;
        }
        &mut self.known
    }

    /// Seals `block`, whose only predecessor is the block at hand, and goes on in it.
    pub(crate) fn enter(&mut self, block: Block) {
        let here = self.known.block == self.b.current_block();
        self.b.seal_block(block);
        self.b.switch_to_block(block);
        if here {
            self.known.block = Some(block);
        }
    }

    /// The place at hand, for [`Self::join`].
    pub(crate) fn mark(&mut self) -> Mark {
        let known = self.known();
        Mark {
            emptied: known.emptied,
            calls: known.calls,
            constants: known.constants.len(),
            fields: known.fields.len(),
            words: known.words.len(),
            addresses: known.addresses.len(),
            null: known.null,
        }
    }

    /// Goes on in `block`. Every way into it must have passed the place of `mark`, and its code must be complete between
    /// there and here: calls on other ways are not seen.
    pub(crate) fn join(&mut self, block: Block, mark: Mark) {
        self.b.switch_to_block(block);
        self.known.go_back(mark, block);
    }

    /// To be told of each call but those that leave the frame.
    pub(super) fn forget_references(&mut self) {
        self.known.calls += 1;
        self.known.forget_references();
    }
}

/// Values.
impl FuncTranslator<'_> {
    /// A constant; of 32 bits and less, its high bits are 0.
    pub(crate) fn iconst(&mut self, ty: Type, value: i64) -> Value {
        let known = self.known();
        if let Some((.., found)) = known.constants.iter().find(|(of, at, _)| (*of, *at) == (ty, value)) {
            return *found;
        }
        known.make_room();
        let made = self.b.ins().iconst(ty, value);
        self.known.constants.push((ty, value, made));
        made
    }

    /// A null reference.
    pub(crate) fn null(&mut self) -> Value {
        if let Some(null) = self.known().null {
            return null;
        }
        let made = self.b.ins().iconst(I32, 0);
        *self.known.null.insert(made)
    }

    /// What stands at `base + offset` and does not change while the function runs: a pointer or number of the instance.
    pub(crate) fn constant_field(&mut self, ty: Type, base: Value, offset: i32) -> Value {
        let known = self.known();
        if let Some((.., found)) = known.fields.iter().find(|(of, at, _)| (*of, *at) == (base, offset)) {
            return *found;
        }
        known.make_room();
        let flags = self.flags(Region::Constant).with_readonly().with_can_move();
        let made = self.b.ins().load(ty, flags, base, offset);
        self.known.fields.push((base, offset, made));
        made
    }

    /// The bits of `reference` in 64 bits, till the next call. Instructions that look at a reference several times look at
    /// this: each use of the reference itself is a load of its own from the frame, if it outlives a call.
    pub(crate) fn word(&mut self, reference: Value) -> Value {
        let known = self.known();
        if let Some((_, found)) = known.words.iter().find(|(of, _)| *of == reference) {
            return *found;
        }
        known.make_room();
        let made = self.b.ins().uextend(I64, reference);
        self.known.words.push((reference, made));
        made
    }

    /// Address of heap offset `offset` (an i32), till the next call.
    pub(crate) fn heap_address(&mut self, offset: Value) -> Value {
        if let Some((_, found)) = self.known().addresses.iter().find(|(of, _)| *of == offset) {
            return *found;
        }
        let base = self.heap_base();
        let word = self.word(offset);
        self.known().make_room();
        let made = self.b.ins().iadd(base, word);
        self.known.addresses.push((offset, made));
        made
    }
}

/// Operations with a constant.
impl FuncTranslator<'_> {
    /// `value` as a constant of the type that `of` has, its high bits cut off.
    fn constant_like(&mut self, of: Value, value: i64) -> Value {
        let ty = self.b.func.dfg.value_type(of);
        let unused = 64 - ty.bits();
        self.iconst(ty, ((value as u64) << unused >> unused) as i64)
    }

    /// `value` compared with a constant.
    pub(crate) fn compare_to(&mut self, cc: IntCC, value: Value, constant: i64) -> Value {
        let constant = self.constant_like(value, constant);
        self.b.ins().icmp(cc, value, constant)
    }

    /// `value` plus a constant.
    pub(crate) fn plus(&mut self, value: Value, constant: i64) -> Value {
        let constant = self.constant_like(value, constant);
        self.b.ins().iadd(value, constant)
    }

    /// The bits of `value` that `mask` has.
    pub(crate) fn masked(&mut self, value: Value, mask: i64) -> Value {
        let mask = self.constant_like(value, mask);
        self.b.ins().band(value, mask)
    }

    /// `value` shifted left.
    pub(crate) fn shifted(&mut self, value: Value, bits: u32) -> Value {
        let bits = self.constant_like(value, i64::from(bits));
        self.b.ins().ishl(value, bits)
    }
}
