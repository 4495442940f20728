//! The state of typing an instruction sequence (spec: Validation / Instructions, and the appendix on the validation algorithm):
//! the operand stack, the stack of open blocks, and which locals are set.
//!
//! Code that cannot be reached is typed with a *polymorphic* stack: below what the block has pushed since then lie as many
//! [`Operand::Bottom`] as are asked for. Invariant: an operand's type is canonical, and no pop goes below the innermost
//! block's base.

use super::context::{ConstantPlace, Context};
use super::types::is_defaultable;
use super::{MAX_LOCALS, MAX_OPERANDS, Rule};
use crate::error::{Error, Result};
use crate::syntax::types::{HeapType, RefType, TypeId, ValType};

/// What is known of an operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operand {
    /// Of the bottom value type, which matches all types.
    Bottom,
    /// A non-null reference of the bottom heap type, which matches all reference types.
    BottomRef,
    Value(ValType),
}

impl Operand {
    /// The same reference without null; `None` if it is no reference.
    pub(super) fn non_null(self) -> Option<Operand> {
        match self {
            Operand::Bottom | Operand::BottomRef => Some(Operand::BottomRef),
            Operand::Value(ValType::Ref(ty)) => {
                Some(Operand::Value(ValType::Ref(RefType::non_null(ty.heap))))
            }
            Operand::Value(_) => None,
        }
    }

    /// Whether a null may be its value, where it is a reference.
    pub(super) fn is_nullable(self) -> bool {
        matches!(self, Operand::Value(ValType::Ref(RefType { nullable: true, .. })))
    }
}

/// Which structured instruction, or which part of one, a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Body,
    Block,
    Loop,
    If,
    Else,
    Try,
    /// A legacy `catch` or `catch_all`, which `rethrow` may name.
    Catch,
}

/// Type of a block (spec: instruction types), small enough for a million of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signature {
    Empty,
    Result(ValType),
    Func(TypeId),
}

/// A result type.
#[derive(Clone, Copy)]
pub(super) enum ResultType<'c> {
    Of(&'c [ValType]),
    One(ValType),
}

impl ResultType<'_> {
    pub(super) fn as_slice(&self) -> &[ValType] {
        match self {
            ResultType::Of(types) => types,
            ResultType::One(ty) => std::slice::from_ref(ty),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) signature: Signature,
    /// Height of the operand stack below the block's parameters.
    base: usize,
    /// How many locals had been set when it was opened.
    set_locals: usize,
    /// Whether the stack was polymorphic when an inner block was opened.
    polymorphic: bool,
}

/// The memory of an expression's typing, passed from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    operands: Vec<Operand>,
    frames: Vec<Frame>,
    /// Types of the first locals.
    first_locals: Vec<ValType>,
    /// The locals as runs of one type: index after the run, type.
    runs: Vec<(u32, ValType)>,
    /// One bit for each local that is not set; empty if all types have defaults.
    unset: Vec<u64>,
    /// Locals set since the function's start that had not been, in order.
    set_locals: Vec<u32>,
    /// Functions that a constant expression refers to.
    pub(super) named: Vec<u32>,
}

/// How many locals are found without search.
const FIRST_LOCALS: u32 = 64;

/// The typing of one function body or constant expression.
pub(crate) struct Expression<'c> {
    pub(super) context: &'c Context,
    buffers: Buffers,
    /// Of the innermost block.
    base: usize,
    polymorphic: bool,
    /// The rule at hand, for an operand that does not match.
    pub(super) rule: Rule,
    /// Where the instruction at hand stands.
    pub(super) at: usize,
    pub(super) constant: Option<ConstantPlace>,
}

impl<'c> Expression<'c> {
    /// Begins a function body of a function type.
    ///
    /// # Errors
    /// A local's type is invalid, or there are more locals than can be followed (a limit).
    pub(super) fn body(
        context: &'c Context,
        ty: TypeId,
        locals: &[(u32, ValType)],
        buffers: Buffers,
        at: usize,
    ) -> Result<Expression<'c>> {
        let mut this = Expression::new(context, Signature::Func(ty), None, buffers);
        let params = &context.func_type(ty, at)?.params;
        let total = locals.iter().map(|&(count, _)| u64::from(count)).sum::<u64>() + params.len() as u64;
        if total > MAX_LOCALS {
            let limit = Error::unsupported(at, format!("more than {MAX_LOCALS} locals in a function"));
            // Which locals are set cannot be followed for so many.
            if total > u64::from(u32::MAX) || !locals.iter().all(|&(_, ty)| is_defaultable(ty)) {
                return Err(limit);
            }
            context.meet(limit);
        }
        for &param in params {
            this.declare_locals(1, param, true);
        }
        // A group of no locals has no type to be valid (spec: Binary Format / Code Section: the group stands for so many locals).
        for &(count, ty) in locals.iter().filter(|(count, _)| *count > 0) {
            let ty = context.val_type(ty, at)?;
            this.declare_locals(count, ty, is_defaultable(ty));
        }
        Ok(this)
    }

    /// Begins a constant expression of a canonical type.
    pub(super) fn constant(
        context: &'c Context,
        ty: ValType,
        place: ConstantPlace,
        buffers: Buffers,
    ) -> Expression<'c> {
        Expression::new(context, Signature::Result(ty), Some(place), buffers)
    }

    fn new(
        context: &'c Context,
        signature: Signature,
        constant: Option<ConstantPlace>,
        mut buffers: Buffers,
    ) -> Expression<'c> {
        buffers.operands.clear();
        buffers.frames.clear();
        buffers.first_locals.clear();
        buffers.runs.clear();
        buffers.unset.clear();
        buffers.set_locals.clear();
        buffers.named.clear();
        buffers.frames.push(Frame {
            kind: Kind::Body,
            signature,
            base: 0,
            set_locals: 0,
            polymorphic: false,
        });
        Expression { context, buffers, base: 0, polymorphic: false, rule: Rule::FuncEnd, at: 0, constant }
    }

    /// Gives the memory back.
    pub(crate) fn into_buffers(self) -> Buffers {
        self.buffers
    }

    // Errors.

    #[cold]
    pub(super) fn error(&self, rule: Rule, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::invalid(rule, self.at, message)
    }

    #[cold]
    pub(super) fn mismatch(&self, found: Operand, wanted: &dyn std::fmt::Debug) -> Error {
        let name = self.rule.name();
        self.error(self.rule, format!("type mismatch: {name} takes {wanted:?}, found {found:?}"))
    }

    // The operand stack.

    pub(super) fn push(&mut self, ty: ValType) {
        self.buffers.operands.push(Operand::Value(ty));
    }

    pub(super) fn push_operand(&mut self, operand: Operand) {
        self.buffers.operands.push(operand);
    }

    pub(super) fn push_types(&mut self, types: &[ValType]) -> Result<()> {
        self.context.charge(types.len(), self.at)?;
        if types.len() > 1 && self.buffers.operands.len() + types.len() > MAX_OPERANDS {
            return Err(Error::unsupported(
                self.at,
                format!("more than {MAX_OPERANDS} operands on the stack"),
            ));
        }
        self.buffers.operands.extend(types.iter().map(|&ty| Operand::Value(ty)));
        Ok(())
    }

    /// Pops an operand of any type.
    pub(super) fn pop(&mut self) -> Result<Operand> {
        if self.buffers.operands.len() > self.base
            && let Some(operand) = self.buffers.operands.pop()
        {
            return Ok(operand);
        }
        if self.polymorphic {
            return Ok(Operand::Bottom);
        }
        let name = self.rule.name();
        Err(self.error(self.rule, format!("type mismatch: {name} lacks an operand")))
    }

    pub(super) fn matches(&self, found: Operand, wanted: ValType) -> bool {
        match (found, wanted) {
            (Operand::Bottom, _) | (Operand::BottomRef, ValType::Ref(_)) => true,
            (Operand::BottomRef, _) => false,
            (Operand::Value(found), wanted) => self.context.types.val_matches(found, wanted),
        }
    }

    /// Pops an operand that must match a type.
    #[inline]
    pub(super) fn pop_type(&mut self, wanted: ValType) -> Result<()> {
        // Mostly it is of that very type.
        if self.buffers.operands.len() > self.base
            && self.buffers.operands.last() == Some(&Operand::Value(wanted))
        {
            self.buffers.operands.pop();
            return Ok(());
        }
        self.pop_match(wanted).map(drop)
    }

    /// Pops an operand that must match a type, and gives what is known of it.
    pub(super) fn pop_match(&mut self, wanted: ValType) -> Result<Operand> {
        let found = self.pop()?;
        if !self.matches(found, wanted) {
            return Err(self.mismatch(found, &wanted));
        }
        Ok(found)
    }

    /// Whether everything that is left to pop is the bottom type.
    pub(super) fn only_bottom_left(&self) -> bool {
        self.polymorphic && self.buffers.operands.len() == self.base
    }

    /// Pops operands that must match types, the last one first.
    pub(super) fn pop_types(&mut self, wanted: &[ValType]) -> Result<()> {
        for &ty in wanted.iter().rev() {
            if self.only_bottom_left() {
                return Ok(());
            }
            self.pop_type(ty)?;
        }
        Ok(())
    }

    /// Pops as many operands of one type.
    pub(super) fn pop_repeated(&mut self, wanted: ValType, count: u32) -> Result<()> {
        for _ in 0..count {
            if self.only_bottom_left() {
                return Ok(());
            }
            self.pop_type(wanted)?;
        }
        Ok(())
    }

    /// Pops a reference of whatever type.
    pub(super) fn pop_ref(&mut self) -> Result<Operand> {
        let found = self.pop()?;
        match found {
            Operand::Bottom | Operand::BottomRef | Operand::Value(ValType::Ref(_)) => Ok(found),
            Operand::Value(_) => Err(self.mismatch(found, &"a reference")),
        }
    }

    /// The rule of an instruction from operands to results that do not depend on the operands.
    pub(super) fn apply(&mut self, rule: Rule, operands: &[ValType], results: &[ValType]) -> Result<()> {
        self.rule = rule;
        self.pop_types(operands)?;
        self.push_types(results)
    }

    /// Whether the operands on top match types, without popping them.
    pub(super) fn check_top(&self, wanted: &[ValType]) -> Result<()> {
        self.context.charge(wanted.len(), self.at)?;
        let known = &self.buffers.operands[self.base..];
        for (i, &ty) in wanted.iter().rev().enumerate() {
            match known.iter().rev().nth(i) {
                Some(&found) if !self.matches(found, ty) => return Err(self.mismatch(found, &ty)),
                Some(_) => {}
                None if self.polymorphic => return Ok(()),
                None => {
                    let name = self.rule.name();
                    return Err(self.error(self.rule, format!("type mismatch: {name} lacks an operand")));
                }
            }
        }
        Ok(())
    }

    // Blocks.

    pub(super) fn params(&self, signature: Signature) -> Result<ResultType<'c>> {
        Ok(match signature {
            Signature::Empty | Signature::Result(_) => ResultType::Of(&[]),
            Signature::Func(id) => ResultType::Of(&self.context.func_type(id, self.at)?.params),
        })
    }

    pub(super) fn results(&self, signature: Signature) -> Result<ResultType<'c>> {
        Ok(match signature {
            Signature::Empty => ResultType::Of(&[]),
            Signature::Result(ty) => ResultType::One(ty),
            Signature::Func(id) => ResultType::Of(&self.context.func_type(id, self.at)?.results),
        })
    }

    /// Results of the function (spec: *C*.return).
    pub(super) fn return_type(&self) -> Result<ResultType<'c>> {
        match self.buffers.frames.first() {
            Some(frame) => self.results(frame.signature),
            None => Err(Error::crash_at(self.at, "instruction after the end of a body")),
        }
    }

    pub(super) fn innermost(&self) -> Result<Frame> {
        match self.buffers.frames.last() {
            Some(&frame) => Ok(frame),
            None => Err(Error::crash_at(self.at, "instruction after the end of a body")),
        }
    }

    /// The block of a label.
    pub(super) fn label_frame(&self, label: u32) -> Result<Frame> {
        let frames = &self.buffers.frames;
        let index = (frames.len() as u64).checked_sub(u64::from(label) + 1);
        match index.and_then(|index| frames.get(index as usize)) {
            Some(&frame) => Ok(frame),
            None => Err(self.error(Rule::UnknownLabel, format!("unknown label {label}"))),
        }
    }

    /// Types of a label (spec: *C*.labels).
    pub(super) fn label(&self, label: u32) -> Result<ResultType<'c>> {
        let frame = self.label_frame(label)?;
        if frame.kind == Kind::Loop { self.params(frame.signature) } else { self.results(frame.signature) }
    }

    /// Opens a block and pushes `params`; its operands have been popped.
    pub(super) fn open(&mut self, kind: Kind, signature: Signature, params: &[ValType]) -> Result<()> {
        if let Some(outer) = self.buffers.frames.last_mut() {
            outer.polymorphic = self.polymorphic;
        }
        let base = self.buffers.operands.len();
        let set_locals = self.buffers.set_locals.len();
        self.buffers.frames.push(Frame { kind, signature, base, set_locals, polymorphic: false });
        self.base = base;
        self.polymorphic = false;
        self.push_types(params)
    }

    /// Checks that the innermost block's results, and nothing else, lie on its stack; takes them off.
    fn check_end(&mut self, frame: Frame) -> Result<()> {
        let (end, height) = match (frame.kind, self.constant) {
            (Kind::Body, Some(place)) => (place.rule(), place.rule()),
            (Kind::Body, None) => (Rule::FuncEnd, Rule::FuncHeight),
            _ => (Rule::BlockEnd, Rule::BlockHeight),
        };
        self.rule = end;
        let results = self.results(frame.signature)?;
        self.pop_types(results.as_slice())?;
        if self.buffers.operands.len() != self.base {
            return Err(self.error(height, "type mismatch: values remaining on stack at end of block"));
        }
        Ok(())
    }

    /// Ends a part of the innermost block and begins its next one (`else`, `catch`), with `params` on the stack.
    pub(super) fn next_part(&mut self, kind: Kind, params: &[ValType]) -> Result<()> {
        let frame = self.innermost()?;
        self.check_end(frame)?;
        self.reset_locals(frame.set_locals);
        if let Some(frame) = self.buffers.frames.last_mut() {
            frame.kind = kind;
        }
        self.polymorphic = false;
        self.push_types(params)
    }

    /// Closes the innermost block and gives it.
    pub(super) fn close(&mut self) -> Result<Frame> {
        let frame = self.innermost()?;
        self.check_end(frame)?;
        self.reset_locals(frame.set_locals);
        self.buffers.frames.pop();
        if let Some(outer) = self.buffers.frames.last() {
            self.base = outer.base;
            self.polymorphic = outer.polymorphic;
        }
        Ok(frame)
    }

    /// Makes the stack polymorphic: what follows cannot be reached.
    pub(super) fn unreachable(&mut self) {
        self.buffers.operands.truncate(self.base);
        self.polymorphic = true;
    }

    // Locals.

    fn declare_locals(&mut self, count: u32, ty: ValType, set: bool) {
        if count == 0 {
            return;
        }
        let b = &mut self.buffers;
        let start = b.runs.last().map_or(0, |run| run.0);
        let end = start + count;
        match b.runs.last_mut() {
            Some(run) if run.1 == ty => run.0 = end,
            _ => b.runs.push((end, ty)),
        }
        if start < FIRST_LOCALS {
            b.first_locals.resize(end.min(FIRST_LOCALS) as usize, ty);
        }
        if !set {
            // By whole words: many locals take few bytes of a module.
            let (first, last) = (start as usize / 64, (end - 1) as usize / 64);
            b.unset.resize(last + 1, 0);
            b.unset[first..=last].iter_mut().enumerate().for_each(|(i, word)| {
                let from = if i == 0 { start % 64 } else { 0 };
                let to = if first + i == last { (end - 1) % 64 } else { 63 };
                *word |= u64::MAX << from & u64::MAX >> (63 - to);
            });
        }
    }

    pub(super) fn local(&self, index: u32) -> Result<ValType> {
        let b = &self.buffers;
        if let Some(&ty) = b.first_locals.get(index as usize) {
            return Ok(ty);
        }
        match b.runs.get(b.runs.partition_point(|run| run.0 <= index)) {
            Some(run) => Ok(run.1),
            None => Err(self.error(Rule::UnknownLocal, format!("unknown local {index}"))),
        }
    }

    pub(super) fn is_set(&self, local: u32) -> bool {
        self.buffers.unset.get(local as usize / 64).is_none_or(|word| word >> (local % 64) & 1 == 0)
    }

    /// Makes a local one that has a value until the innermost block ends.
    pub(super) fn set_local(&mut self, local: u32) {
        if let Some(word) = self.buffers.unset.get_mut(local as usize / 64)
            && *word >> (local % 64) & 1 != 0
        {
            *word &= !(1 << (local % 64));
            self.buffers.set_locals.push(local);
        }
    }

    fn reset_locals(&mut self, height: usize) {
        let b = &mut self.buffers;
        for local in b.set_locals.drain(height..) {
            if let Some(word) = b.unset.get_mut(local as usize / 64) {
                *word |= 1 << (local % 64);
            }
        }
    }

    /// Notes a function that a constant expression refers to.
    pub(super) fn name_func(&mut self, func: u32) {
        self.buffers.named.push(func);
    }
}

/// The type of an abstract nullable reference.
pub(super) const fn nullable(heap: HeapType) -> ValType {
    ValType::Ref(RefType::nullable(heap))
}

/// The type of an abstract non-null reference.
pub(super) const fn non_null(heap: HeapType) -> ValType {
    ValType::Ref(RefType::non_null(heap))
}
