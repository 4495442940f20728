//! `ref.test`, `ref.cast`, `br_on_cast`, `br_on_cast_fail`, and the conversions between `any` and `extern`.
//!
//! A target is reduced to a [`Check`] once; a check is emitted either as one condition, or as branches to a block for
//! each outcome. Concrete types compare the object's type id with the target's, and if the target may have subtypes
//! look at the entry of the target's depth in the display of the object's type row: one load and one compare.
//!
//! Rows are read as constants (readonly, movable, merged over calls): an id that is found in a live object keeps its
//! row while the store lives, since the store's modules keep their types. A masked id is always the index of a
//! readable row, so even a load that moved above its check cannot fault.

use std::mem::offset_of;

use assay_gc::types::{DISPLAY_DEPTH, KIND_ARRAY, KIND_STRUCT, ROW_SHIFT};
use assay_gc::{AbstractHeapType, CompositeType, HeapType, TypeId, TypeRow, ValType, header};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I32};
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value};

use crate::convert::internal;
use crate::translate::{FuncTranslator, Region, block_args};
use crate::vmctx::FuncEntry;
use crate::{Error, ErrorKind, TrapCode};

/// Bits of [`TypeRow::kind_depth`] that hold the kind.
const KIND_MASK: i64 = 0xff;

/// What a value that is not null must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Check {
    /// Nothing is: the target is the bottom of its hierarchy.
    Never,
    /// Everything is: the target is the top of its hierarchy.
    Always,
    /// An i31.
    I31,
    /// An i31, a struct or an array.
    Eq,
    /// An object of this kind.
    Kind(u32),
    /// An object of this type or a subtype.
    Object(Supertype),
    /// A function of this type or a subtype.
    Func(Supertype),
}

/// A concrete target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Supertype {
    id: TypeId,
    /// Length of its chain of supertypes.
    depth: u32,
    /// Whether it has no subtypes but itself.
    is_final: bool,
}

/// The instructions.
impl FuncTranslator<'_> {
    /// `ref.test`.
    pub(super) fn ref_test(&mut self, target: wasmparser::HeapType, nullable: bool) -> Result<(), Error> {
        let check = self.check(target)?;
        let value = self.pop();
        let result = match self.condition(value, nullable, check) {
            Some(condition) => self.b.ins().uextend(I32, condition),
            None => {
                let outcomes = [self.iconst32(1), self.iconst32(0)];
                let before = self.mark();
                let (yes, no) = self.branch_on_check(value, nullable, check);
                let done = self.b.create_block();
                let result = self.b.append_block_param(done, I32);
                for (block, outcome) in [yes, no].into_iter().zip(outcomes) {
                    self.b.switch_to_block(block);
                    self.b.ins().jump(done, &[BlockArg::Value(outcome)]);
                }
                self.b.seal_block(done);
                self.join(done, before);
                result
            }
        };
        self.push(result);
        Ok(())
    }

    /// `ref.cast`: the same value, under another type.
    pub(super) fn ref_cast(&mut self, target: wasmparser::HeapType, nullable: bool) -> Result<(), Error> {
        let check = self.check(target)?;
        let value = self.pop();
        match self.condition(value, nullable, check) {
            Some(condition) => self.trap_if_zero(condition, TrapCode::CastFailure),
            None => {
                let before = self.mark();
                let (yes, no) = self.branch_on_check(value, nullable, check);
                self.b.set_cold_block(no);
                self.b.switch_to_block(no);
                self.trap(TrapCode::CastFailure);
                self.join(yes, before);
            }
        }
        self.push_heap_type(value, target)
    }

    /// `br_on_cast`: to the label if the cast succeeds.
    pub(super) fn br_on_cast(
        &mut self,
        depth: u32,
        from: wasmparser::RefType,
        to: wasmparser::RefType,
    ) -> Result<(), Error> {
        let check = self.check(to.heap_type())?;
        let value = self.peek();
        match self.condition(value, to.is_nullable(), check) {
            Some(condition) => self.branch_if(condition, depth)?,
            None => {
                let before = self.mark();
                let (yes, no) = self.branch_on_check(value, to.is_nullable(), check);
                self.jump_to_label(yes, depth)?;
                self.join(no, before);
            }
        }
        let value = self.pop();
        self.push_heap_type(value, from.heap_type())
    }

    /// `br_on_cast_fail`: to the label if the cast fails.
    pub(super) fn br_on_cast_fail(
        &mut self,
        depth: u32,
        _from: wasmparser::RefType,
        to: wasmparser::RefType,
    ) -> Result<(), Error> {
        let check = self.check(to.heap_type())?;
        let value = self.peek();
        match self.condition(value, to.is_nullable(), check) {
            Some(condition) => {
                let failed = self.b.ins().icmp_imm_u(IntCC::Equal, condition, 0);
                self.branch_if(failed, depth)?;
            }
            None => {
                let before = self.mark();
                let (yes, no) = self.branch_on_check(value, to.is_nullable(), check);
                self.jump_to_label(no, depth)?;
                self.join(yes, before);
            }
        }
        let value = self.pop();
        self.push_heap_type(value, to.heap_type())
    }

    /// `any.convert_extern` and `extern.convert_any`: both hierarchies share one representation, host values are boxed
    /// when they enter the store.
    pub(super) fn convert_reference(&mut self) -> Result<(), Error> {
        let value = self.pop();
        self.push_ref(value);
        Ok(())
    }

    /// Pushes `value`, a reference to `ty`.
    fn push_heap_type(&mut self, value: Value, ty: wasmparser::HeapType) -> Result<(), Error> {
        let heap = self.convert().heap(ty)?;
        self.push_typed(value, &ValType::Ref(assay_gc::RefType { nullable: true, heap }));
        Ok(())
    }

    /// Fills `block` with a branch to label `depth`, with the top of the stack as arguments, which stay there.
    fn jump_to_label(&mut self, block: Block, depth: u32) -> Result<(), Error> {
        let (target, arity) = self.branch_target(depth);
        self.count_passed(arity)?;
        let args = block_args(&self.peek_n(arity));
        self.b.switch_to_block(block);
        self.b.ins().jump(target, args.iter());
        Ok(())
    }
}

/// Checks.
impl FuncTranslator<'_> {
    /// The check that a target asks for.
    fn check(&self, target: wasmparser::HeapType) -> Result<Check, Error> {
        Ok(match self.convert().heap(target)? {
            HeapType::Abstract(ty) => match ty {
                AbstractHeapType::Func
                | AbstractHeapType::Extern
                | AbstractHeapType::Any
                | AbstractHeapType::Exn => Check::Always,
                AbstractHeapType::NoFunc
                | AbstractHeapType::NoExtern
                | AbstractHeapType::None
                | AbstractHeapType::NoExn => Check::Never,
                AbstractHeapType::I31 => Check::I31,
                AbstractHeapType::Eq => Check::Eq,
                AbstractHeapType::Struct => Check::Kind(KIND_STRUCT),
                AbstractHeapType::Array => Check::Kind(KIND_ARRAY),
            },
            HeapType::Concrete(id) => {
                let target = self.supertype(id)?;
                match self.def(id)?.composite {
                    CompositeType::Func(_) => Check::Func(target),
                    CompositeType::Struct(_) | CompositeType::Array(_) => Check::Object(target),
                    CompositeType::Exception(_) => return Err(internal("a cast to a hidden type")),
                }
            }
            HeapType::Rec(_) => return Err(internal("a target inside of an unregistered rec group")),
        })
    }

    /// What a display check of the type `id` needs.
    fn supertype(&self, id: TypeId) -> Result<Supertype, Error> {
        let def = self.def(id)?;
        let is_final = def.is_final;
        let (mut def, mut depth) = (def, 0);
        while let Some(parent) = def.supertype {
            let HeapType::Concrete(parent) = parent else {
                return Err(internal("a registered type with an unregistered supertype"));
            };
            depth += 1;
            if depth as usize >= DISPLAY_DEPTH {
                let limit = DISPLAY_DEPTH as u64;
                return Err(Error::new(ErrorKind::Limit {
                    what: "supertypes of a type",
                    given: u64::from(depth),
                    limit,
                    place: None,
                }));
            }
            def = self.def(parent)?;
        }
        Ok(Supertype { id, depth, is_final })
    }

    /// The check as a condition (an i8, 0 or 1) where it needs no memory.
    fn condition(&mut self, value: Value, nullable: bool, check: Check) -> Option<Value> {
        Some(match (check, nullable) {
            (Check::Never, false) => self.b.ins().iconst(I8, 0),
            (Check::Never, true) => self.b.ins().icmp_imm_u(IntCC::Equal, value, 0),
            (Check::Always, false) => self.b.ins().icmp_imm_u(IntCC::NotEqual, value, 0),
            (Check::Always, true) => self.b.ins().iconst(I8, 1),
            (Check::I31, false) => {
                let tag = self.b.ins().ireduce(I8, value);
                self.b.ins().band_imm_u(tag, 1)
            }
            (Check::I31, true) => {
                let tag = self.b.ins().band_imm_u(value, 1);
                let is_i31 = self.b.ins().icmp_imm_u(IntCC::NotEqual, tag, 0);
                let is_null = self.b.ins().icmp_imm_u(IntCC::Equal, value, 0);
                self.b.ins().bor(is_i31, is_null)
            }
            (Check::Eq | Check::Kind(_) | Check::Object(_) | Check::Func(_), _) => return None,
        })
    }

    /// Emits the check as branches and ends the current block: (block of success, block of failure), both sealed and
    /// still empty.
    fn branch_on_check(&mut self, value: Value, nullable: bool, check: Check) -> (Block, Block) {
        let (yes, no) = (self.b.create_block(), self.b.create_block());
        let not_null = self.b.create_block();
        let on_null = if nullable { yes } else { no };
        let word = self.word(value);
        self.b.ins().brif(word, not_null, &[], on_null, &[]);
        self.enter(not_null);
        match check {
            Check::Func(target) => {
                let entry = self.resolve_func(value);
                let flags = self.flags(Region::Store);
                let id = self.b.ins().uload32(flags, entry, offset_of!(FuncEntry, type_id) as i32);
                let id = self.masked(id, i64::from(header::TYPE_ID_MASK));
                self.branch_on_subtype(id, target, yes, no);
            }
            Check::Object(target) => {
                self.branch_on_i31(value, no);
                let id = self.object_type(value);
                self.branch_on_subtype(id, target, yes, no);
            }
            Check::Kind(kind) => {
                self.branch_on_i31(value, no);
                let found = self.object_kind(value);
                let same = self.compare_to(IntCC::Equal, found, i64::from(kind));
                self.b.ins().brif(same, yes, &[], no, &[]);
            }
            Check::Eq => {
                self.branch_on_i31(value, yes);
                // Structs and arrays have adjacent kinds; host boxes are the objects that do not match.
                const { assert!(KIND_ARRAY == KIND_STRUCT + 1) };
                let found = self.object_kind(value);
                let kind = self.plus(found, -i64::from(KIND_STRUCT));
                let matches = self.compare_to(IntCC::UnsignedLessThanOrEqual, kind, 1);
                self.b.ins().brif(matches, yes, &[], no, &[]);
            }
            Check::Never => {
                self.b.ins().jump(no, &[]);
            }
            Check::Always => {
                self.b.ins().jump(yes, &[]);
            }
            Check::I31 => {
                self.branch_on_i31(value, yes);
                self.b.ins().jump(no, &[]);
            }
        }
        self.b.seal_block(yes);
        self.b.seal_block(no);
        (yes, no)
    }

    /// Goes to `target` if `value` is an i31, else on.
    fn branch_on_i31(&mut self, value: Value, target: Block) {
        let object = self.b.create_block();
        let word = self.word(value);
        let tag = self.masked(word, 1);
        self.b.ins().brif(tag, target, &[], object, &[]);
        self.enter(object);
    }

    /// Goes to `yes` if the type with the masked id `id`, of 64 bits, is `target` or a subtype, else to `no`.
    fn branch_on_subtype(&mut self, id: Value, target: Supertype, yes: Block, no: Block) {
        let expected = i64::from(target.id.0);
        let same = self.compare_to(IntCC::Equal, id, expected);
        if target.is_final {
            self.b.ins().brif(same, yes, &[], no, &[]);
            return;
        }
        let other = self.b.create_block();
        self.b.ins().brif(same, yes, &[], other, &[]);
        self.enter(other);
        let ancestor = self.row_word(id, offset_of!(TypeRow, display) as u32 + 4 * target.depth);
        let matches = self.compare_to(IntCC::Equal, ancestor, expected);
        self.b.ins().brif(matches, yes, &[], no, &[]);
    }

    /// The kind of an object, by the row of its type.
    fn object_kind(&mut self, object: Value) -> Value {
        let id = self.object_type(object);
        let word = self.row_word(id, offset_of!(TypeRow, kind_depth) as u32);
        self.masked(word, KIND_MASK)
    }

    /// The word at `offset` of the type row of a masked id of 64 bits.
    fn row_word(&mut self, id: Value, offset: u32) -> Value {
        let rows = self.type_rows();
        let row = self.shifted(id, ROW_SHIFT);
        let row = self.b.ins().iadd(rows, row);
        let flags = self.flags(Region::Constant).with_readonly().with_can_move();
        self.b.ins().load(I32, flags, row, offset as i32)
    }
}
