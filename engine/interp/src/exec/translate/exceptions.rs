//! Exceptions: `try_table` and the legacy `try` become rows in the body's handler tables; entering and leaving them costs no
//! operation.
//!
//! A legacy `catch` block has the caught exception in a slot of its own, below its other operands, where `rethrow` and the
//! collector find it.

use super::{Fixup, Kind, Translator, UNPATCHED};
use crate::error::Result;
use crate::exec::code::{Clause, Code, Handler};
use crate::exec::exception::NO_HANDLER;
use crate::runtime::value::slots;
use crate::syntax::instructions::{BlockType, CatchClause};
use crate::syntax::types::FuncType;

impl<'m> Translator<'m> {
    fn tag_type(&self, tag: u32) -> Result<&'m FuncType> {
        let ty = self.module.tags.get(tag as usize).ok_or_else(|| self.crash("unknown tag"))?;
        self.func_type(ty.0)
    }

    /// The handler in force here.
    pub(super) fn handler(&self) -> u32 {
        self.labels.last().map_or(NO_HANDLER, |label| label.handler)
    }

    /// Notes that from here on another handler is in force.
    pub(super) fn enter_region(&mut self, handler: u32) {
        let here = self.here();
        match self.body.regions.last_mut() {
            Some((start, last)) if *start == here => *last = handler,
            Some((_, last)) if *last == handler => {}
            None if handler == NO_HANDLER => {}
            _ => self.body.regions.push((here, handler)),
        }
    }

    /// Puts a new innermost handler in force; its block is the innermost one.
    fn enter_handler(&mut self, clauses: Vec<Clause>) {
        let outer = self.handler();
        let handler = self.body.handlers.len() as u32;
        self.body.handlers.push(Handler { clauses, outer });
        if let Some(label) = self.labels.last_mut() {
            label.handler = handler;
        }
        self.enter_region(handler);
    }

    /// Spec: throw.
    pub(super) fn throw(&mut self, tag: u32) -> Result<()> {
        let ty = self.tag_type(tag)?;
        let params = ty.params.len();
        self.settle_top(params)?;
        for _ in 0..params {
            self.pop()?;
        }
        let d = self.top_slot();
        self.emit(Code::Throw, d, slots(&ty.params) as u32, tag);
        self.unreachable();
        Ok(())
    }

    /// Spec: throw_ref.
    pub(super) fn throw_ref(&mut self) -> Result<()> {
        let a = self.pop_reg()?;
        self.emit(Code::ThrowRef, 0, a, 0);
        self.unreachable();
        Ok(())
    }

    /// Spec: try_table. The clauses' labels are counted from outside of it.
    pub(super) fn try_table(&mut self, ty: BlockType, catches: &[CatchClause]) -> Result<()> {
        if catches.is_empty() {
            return self.open(Kind::Block, ty, None);
        }
        let handler = self.body.handlers.len();
        let mut clauses = Vec::with_capacity(catches.len());
        for (i, catch) in catches.iter().enumerate() {
            let payload = match catch.tag {
                Some(tag) => &self.tag_type(tag)?.params[..],
                None => &[],
            };
            let index = self.label_index(catch.label)?;
            if self.label_arity(index) != payload.len() + usize::from(catch.exnref) {
                return Err(self.crash("catch clause with another number of values than its label"));
            }
            let values = self.labels[index].slot;
            let end = values + slots(payload) as u32;
            self.body.frame_size = self.body.frame_size.max(end + 1);
            let target = if self.labels[index].kind == Kind::Loop {
                self.labels[index].start
            } else {
                self.labels[index].fixups.push(Fixup::Clause(handler, i));
                UNPATCHED
            };
            clauses.push(Clause { tag: catch.tag, target, values, exnref: catch.exnref.then_some(end) });
        }
        self.open(Kind::Block, ty, None)?;
        self.enter_handler(clauses);
        Ok(())
    }

    /// Spec (legacy): try.
    pub(super) fn try_(&mut self, ty: BlockType) -> Result<()> {
        self.open(Kind::Try, ty, None)?;
        self.enter_handler(Vec::new());
        Ok(())
    }

    /// Spec (legacy): catch, catch_all. Ends the block's former part.
    pub(super) fn catch(&mut self, tag: Option<u32>) -> Result<()> {
        let depth = self.labels.len().wrapping_sub(1);
        let kind = self.labels.get(depth).map(|label| label.kind);
        if depth == 0 || !matches!(kind, Some(Kind::Try | Kind::Catch)) {
            return Err(self.crash("catch outside of a try"));
        }
        let payload = match tag {
            Some(tag) => &self.tag_type(tag)?.params[..],
            None => &[],
        };
        if self.skipping.is_none() {
            self.fall_through()?;
            let jump = self.emit(Code::Br, 0, 0, UNPATCHED);
            self.labels[depth].fixups.push(Fixup::Target(jump));
        }
        self.skipping = None;
        if kind == Some(Kind::Try) {
            // The clauses themselves are under the outer handler.
            self.labels[depth].own_handler = self.labels[depth].handler;
            self.labels[depth].handler = self.labels[depth - 1].handler;
            self.labels[depth].kind = Kind::Catch;
            self.enter_region(self.labels[depth].handler);
        } else {
            self.labels[depth].base -= 1;
        }
        self.truncate(depth);
        let exnref = self.push(1)?;
        self.labels[depth].base += 1;
        self.push_types(payload)?;
        let target = self.here();
        let clause = Clause { tag, target, values: exnref + 1, exnref: Some(exnref) };
        let handler = self.labels[depth].own_handler as usize;
        self.body.handlers[handler].clauses.push(clause);
        Ok(())
    }

    /// Spec (legacy): rethrow.
    pub(super) fn rethrow(&mut self, label: u32) -> Result<()> {
        let index = self.label_index(label)?;
        if self.labels[index].kind != Kind::Catch {
            return Err(self.crash("rethrow of a label that is no catch"));
        }
        let caught = self.entries[self.labels[index].base - 1].slot;
        self.emit(Code::ThrowRef, 0, caught, 0);
        self.unreachable();
        Ok(())
    }

    /// Spec (legacy): delegate, in the place of the try's end. The label is counted from outside of the try.
    pub(super) fn delegate(&mut self, label: u32) -> Result<()> {
        let depth = self.labels.len().wrapping_sub(1);
        if depth == 0 || self.labels.get(depth).map(|label| label.kind) != Some(Kind::Try) {
            return Err(self.crash("delegate outside of a try"));
        }
        let target = self.label_index(label.checked_add(1).ok_or_else(|| self.crash("unknown label"))?)?;
        let handler = self.labels[depth].handler as usize;
        self.body.handlers[handler].outer = self.labels[target].handler;
        self.end()
    }
}
