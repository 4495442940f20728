//! Blocks, branches, calls and exceptions (spec: Validation / Control Instructions; for the legacy exceptions
//! document/legacy/exceptions, Validation).

use super::Rule;
use super::expression::{Expression, Kind, Operand, Signature, non_null, nullable};
use crate::error::Result;
use crate::syntax::instructions::{BlockType, CatchClause};
use crate::syntax::types::{FuncType, HeapType, RefType, TypeIndex, ValType};

impl<'c> Expression<'c> {
    /// Spec: block types.
    fn block_type(&self, ty: BlockType) -> Result<Signature> {
        Ok(match ty {
            BlockType::Empty => Signature::Empty,
            BlockType::Result(ty) => Signature::Result(self.context.val_type(ty, self.at)?),
            BlockType::Type(index) => {
                let id = self.context.type_id(index, self.at)?;
                self.context.func_type(id, self.at)?;
                Signature::Func(id)
            }
        })
    }

    /// Opens `block`, `loop`, `if` (whose condition is popped here), `try_table` or `try`.
    pub(super) fn block(&mut self, kind: Kind, rule: Rule, ty: BlockType) -> Result<()> {
        let signature = self.block_type(ty)?;
        self.rule = rule;
        if kind == Kind::If {
            self.pop_type(ValType::I32)?;
        }
        let params = self.params(signature)?;
        self.pop_types(params.as_slice())?;
        self.open(kind, signature, params.as_slice())
    }

    pub(super) fn else_(&mut self) -> Result<()> {
        let params = self.params(self.innermost()?.signature)?;
        self.next_part(Kind::Else, params.as_slice())
    }

    pub(super) fn end(&mut self) -> Result<()> {
        let frame = self.close()?;
        let results = self.results(frame.signature)?;
        if frame.kind == Kind::If {
            // The missing else is an empty one: it leaves the parameters as results.
            let params = self.params(frame.signature)?;
            if !self.context.types.vals_match(params.as_slice(), results.as_slice()) {
                let message = "type mismatch: if without else changes the stack";
                return Err(self.error(Rule::IfWithoutElse, message));
            }
        }
        if frame.kind != Kind::Body {
            self.push_types(results.as_slice())?;
        }
        Ok(())
    }

    // Branches.

    pub(super) fn br(&mut self, label: u32) -> Result<()> {
        self.rule = Rule::Br;
        let types = self.label(label)?;
        self.pop_types(types.as_slice())?;
        self.unreachable();
        Ok(())
    }

    pub(super) fn br_if(&mut self, label: u32) -> Result<()> {
        self.rule = Rule::BrIf;
        let types = self.label(label)?;
        self.pop_type(ValType::I32)?;
        // What stays has the label's types, not the operands' own.
        self.pop_types(types.as_slice())?;
        self.push_types(types.as_slice())
    }

    pub(super) fn br_table(&mut self, labels: &[u32], default: u32) -> Result<()> {
        self.rule = Rule::BrTable;
        let last = self.label(default)?;
        self.pop_type(ValType::I32)?;
        // Where there are types to check, each label is checked once, however often it is listed.
        let mut once = Vec::new();
        let labels = if last.as_slice().is_empty() {
            labels
        } else {
            once.extend_from_slice(labels);
            once.sort_unstable();
            once.dedup();
            &once
        };
        for &label in labels {
            let types = self.label(label)?;
            if types.as_slice().len() != last.as_slice().len() {
                let message = "type mismatch: labels of a br_table take different numbers of values";
                return Err(self.error(Rule::BrTableArity, message));
            }
            self.check_top(types.as_slice())?;
        }
        self.pop_types(last.as_slice())?;
        self.unreachable();
        Ok(())
    }

    pub(super) fn br_on_null(&mut self, label: u32) -> Result<()> {
        self.rule = Rule::BrOnNull;
        let types = self.label(label)?;
        let reference = self.pop_ref()?;
        self.pop_types(types.as_slice())?;
        self.push_types(types.as_slice())?;
        self.push_operand(reference.non_null().unwrap_or(Operand::BottomRef));
        Ok(())
    }

    pub(super) fn br_on_non_null(&mut self, label: u32) -> Result<()> {
        self.rule = Rule::BrOnNonNull;
        let types = self.label(label)?;
        let [before @ .., ValType::Ref(last)] = types.as_slice() else {
            let message = "type mismatch: the label's last type is no reference";
            return Err(self.error(Rule::BrOnNonNullLabel, message));
        };
        self.pop_type(nullable(last.heap))?;
        self.pop_types(before)?;
        self.push_types(before)
    }

    pub(super) fn br_on_cast(&mut self, label: u32, from: RefType, to: RefType, on_fail: bool) -> Result<()> {
        let (rule, subtype, taken) = if on_fail {
            (Rule::BrOnCastFail, Rule::BrOnCastFailSubtype, Rule::BrOnCastFailLabel)
        } else {
            (Rule::BrOnCast, Rule::BrOnCastSubtype, Rule::BrOnCastLabel)
        };
        self.rule = rule;
        let types = self.label(label)?;
        let [before @ .., ValType::Ref(last)] = types.as_slice() else {
            return Err(self.error(taken, "type mismatch: the label's last type is no reference"));
        };
        let from = self.context.ref_type(from, self.at)?;
        let to = self.context.ref_type(to, self.at)?;
        if !self.context.types.ref_matches(to, from) {
            return Err(self.error(subtype, "type mismatch: the cast's target does not match its source"));
        }
        // Spec: the difference of reference types: a null goes where null is let through.
        let difference = RefType { nullable: from.nullable && !to.nullable, heap: from.heap };
        let (branches, stays) = if on_fail { (difference, to) } else { (to, difference) };
        if !self.context.types.ref_matches(branches, *last) {
            return Err(self.error(taken, "type mismatch: the label does not take what the cast gives"));
        }
        self.pop_type(ValType::Ref(from))?;
        self.pop_types(before)?;
        self.push_types(before)?;
        self.push(ValType::Ref(stays));
        Ok(())
    }

    pub(super) fn return_(&mut self) -> Result<()> {
        self.rule = Rule::Return;
        let results = self.return_type()?;
        self.pop_types(results.as_slice())?;
        self.unreachable();
        Ok(())
    }

    // Calls.

    fn call_type(&mut self, ty: &FuncType) -> Result<()> {
        self.pop_types(&ty.params)?;
        self.push_types(&ty.results)
    }

    /// A tail call: the callee's results must do for the caller's.
    fn tail_call_type(&mut self, ty: &FuncType, results: Rule) -> Result<()> {
        self.pop_types(&ty.params)?;
        self.context.charge(ty.results.len(), self.at)?;
        if !self.context.types.vals_match(&ty.results, self.return_type()?.as_slice()) {
            let message = "type mismatch: the callee's results are not the caller's";
            return Err(self.error(results, message));
        }
        self.unreachable();
        Ok(())
    }

    pub(super) fn call(&mut self, func: u32) -> Result<()> {
        self.rule = Rule::Call;
        let ty = self.context.func(func, self.at)?;
        self.call_type(self.context.func_type(ty, self.at)?)
    }

    pub(super) fn return_call(&mut self, func: u32) -> Result<()> {
        self.rule = Rule::ReturnCall;
        let ty = self.context.func(func, self.at)?;
        self.tail_call_type(self.context.func_type(ty, self.at)?, Rule::ReturnCallResults)
    }

    /// The type at an index, and the operand of a call through a reference to such a function.
    fn callee(&mut self, ty: u32) -> Result<&'c FuncType> {
        let id = self.context.type_id(TypeIndex(ty), self.at)?;
        let func_type = self.context.func_type(id, self.at)?;
        self.pop_type(nullable(HeapType::Canon(id)))?;
        Ok(func_type)
    }

    pub(super) fn call_ref(&mut self, ty: u32) -> Result<()> {
        self.rule = Rule::CallRef;
        let ty = self.callee(ty)?;
        self.call_type(ty)
    }

    pub(super) fn return_call_ref(&mut self, ty: u32) -> Result<()> {
        self.rule = Rule::ReturnCallRef;
        let ty = self.callee(ty)?;
        self.tail_call_type(ty, Rule::ReturnCallRefResults)
    }

    /// The type at an index, and the operand of a call through a table, which must be one of functions.
    fn table_callee(&mut self, ty: u32, table: u32, rule: Rule) -> Result<&'c FuncType> {
        let table = self.context.table(table, self.at)?;
        if !self.context.types.ref_matches(table.element, RefType::nullable(HeapType::Func)) {
            return Err(self.error(rule, "type mismatch: call through a table that is not of functions"));
        }
        let id = self.context.type_id(TypeIndex(ty), self.at)?;
        let func_type = self.context.func_type(id, self.at)?;
        self.pop_type(table.addr.val_type())?;
        Ok(func_type)
    }

    pub(super) fn call_indirect(&mut self, ty: u32, table: u32) -> Result<()> {
        self.rule = Rule::CallIndirect;
        let ty = self.table_callee(ty, table, Rule::CallIndirectTable)?;
        self.call_type(ty)
    }

    pub(super) fn return_call_indirect(&mut self, ty: u32, table: u32) -> Result<()> {
        self.rule = Rule::ReturnCallIndirect;
        let ty = self.table_callee(ty, table, Rule::ReturnCallIndirectTable)?;
        self.tail_call_type(ty, Rule::ReturnCallIndirectResults)
    }

    // Exceptions.

    pub(super) fn throw(&mut self, tag: u32) -> Result<()> {
        self.rule = Rule::Throw;
        let payload = self.context.tag(tag, self.at)?;
        self.pop_types(payload)?;
        self.unreachable();
        Ok(())
    }

    pub(super) fn throw_ref(&mut self) -> Result<()> {
        self.rule = Rule::ThrowRef;
        self.pop_type(nullable(HeapType::Exn))?;
        self.unreachable();
        Ok(())
    }

    /// Spec: `try_table`; its clauses' labels are those outside of it.
    pub(super) fn try_table(&mut self, ty: BlockType, catches: &[CatchClause]) -> Result<()> {
        for clause in catches {
            self.catch_clause(*clause)?;
        }
        self.block(Kind::Block, Rule::TryTable, ty)
    }

    fn catch_clause(&self, clause: CatchClause) -> Result<()> {
        let types = self.label(clause.label)?;
        self.context.charge(types.as_slice().len(), self.at)?;
        let rule = match (clause.tag.is_some(), clause.exnref) {
            (true, false) => Rule::CatchLabel,
            (true, true) => Rule::CatchRefLabel,
            (false, false) => Rule::CatchAllLabel,
            (false, true) => Rule::CatchAllRefLabel,
        };
        let payload = match clause.tag {
            Some(tag) => self.context.tag(tag, self.at)?,
            None => &[],
        };
        let known = &self.context.types;
        let taken = match (clause.exnref, types.as_slice()) {
            (false, label) => known.vals_match(payload, label),
            (true, [before @ .., last]) => {
                known.val_matches(non_null(HeapType::Exn), *last) && known.vals_match(payload, before)
            }
            (true, []) => false,
        };
        if taken {
            return Ok(());
        }
        Err(self.error(rule, "type mismatch: the label does not take what the clause gives"))
    }

    // Legacy exceptions.

    pub(super) fn catch(&mut self, tag: u32) -> Result<()> {
        let payload = self.context.tag(tag, self.at)?;
        self.next_part(Kind::Catch, payload)
    }

    /// `delegate` in the place of a `try`'s end; its label is counted from outside.
    pub(super) fn delegate(&mut self, label: u32) -> Result<()> {
        let frame = self.close()?;
        self.label_frame(label)?;
        let results = self.results(frame.signature)?;
        self.push_types(results.as_slice())
    }

    pub(super) fn rethrow(&mut self, label: u32) -> Result<()> {
        if self.label_frame(label)?.kind != Kind::Catch {
            return Err(self.error(Rule::RethrowLabel, "invalid rethrow label"));
        }
        self.unreachable();
        Ok(())
    }
}
