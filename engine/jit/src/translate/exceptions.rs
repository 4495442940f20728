//! Exception instructions: `throw`, `throw_ref`, `try_table` (spec "Control Instructions"), and the legacy `try`,
//! `catch`, `catch_all`, `rethrow` and `delegate`.
//!
//! The way of an exception: within its function it jumps to the dispatch block of the innermost handler; out of a
//! callee it comes back over the call's exception table to the handler's landing block, which leads there as well. The
//! dispatch block compares tags in the order of the clauses and goes on to the next handler outside when none takes
//! it. When no handler of the function is left, the builtin `Throw` looks for one in the callers. Tail calls leave the
//! frame, so no handler of it covers them.
//!
//! Invariants:
//! 1. While a handler is active every call but the builtins' is a `try_call` of its landing block: no builtin that
//!    instructions use lets an exception out.
//! 2. The reference is declared for stack maps as the parameter of the dispatch block; between landing and dispatch
//!    there is no safepoint.
//! 3. A handler's blocks are filled and sealed when its body ends, and not before.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExceptionTable, ExceptionTableData, ExceptionTableItem, InstBuilder, SigRef,
    Value,
};
use wasmparser::Catch;

use super::control::{LabelKind, LabelOp};
use super::{FuncTranslator, block_args, clif_trap};
use crate::builtins::Builtin;
use crate::convert::internal;
use crate::{Error, TrapCode};

/// What takes the exceptions of a `try_table`, or of the body of a legacy `try`.
#[derive(Debug)]
pub(super) struct Handler {
    /// Place of its label in the control stack.
    label: usize,
    /// The clauses of a `try_table`.
    clauses: Vec<Catch>,
    /// Where exceptions go, with the reference as parameter; made for the first one that can come.
    dispatch: Option<Block>,
    /// Where the unwinder enters, with the payload as parameter; made for the first call.
    landing: Option<Block>,
}

/// State of the clauses of a legacy `try`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Caught {
    /// The exception that the clauses have; `None` if the body cannot throw.
    exception: Option<Value>,
    /// Where it goes when no clause so far takes it; `None` after `catch_all`.
    otherwise: Option<Block>,
}

/// Throwing.
impl FuncTranslator<'_> {
    /// `throw`
    pub(super) fn throw(&mut self, tag: u32) -> Result<(), Error> {
        let exception = self.new_exception(tag)?;
        self.throw_on(exception);
        self.die();
        Ok(())
    }

    /// `throw_ref`
    pub(super) fn throw_ref(&mut self) {
        let exception = self.pop();
        self.trap_if_zero(exception, TrapCode::NullReference);
        self.throw_on(exception);
        self.die();
    }

    /// `rethrow`
    pub(super) fn rethrow(&mut self, depth: u32) -> Result<(), Error> {
        let at = self.control.len() - 1 - depth as usize;
        let LabelKind::Catch(Caught { exception: Some(exception), .. }) = self.control[at].kind else {
            return Err(internal("rethrow without a caught exception"));
        };
        self.throw_on(exception);
        self.die();
        Ok(())
    }

    /// Ends the current block: `exception`, not null, goes to the innermost handler.
    fn throw_on(&mut self, exception: Value) {
        self.throw_to(self.active_handler(), exception);
    }

    /// Ends the current block: `exception` goes to a handler of this function, or to its callers.
    fn throw_to(&mut self, handler: Option<usize>, exception: Value) {
        match handler {
            Some(handler) => {
                let dispatch = self.dispatch(handler);
                self.b.ins().jump(dispatch, &[BlockArg::Value(exception)]);
            }
            None => {
                self.builtin(Builtin::Throw, &[exception]);
                self.b.ins().trap(clif_trap(TrapCode::Unreachable));
            }
        }
    }
}

/// Handlers.
impl FuncTranslator<'_> {
    fn dispatch(&mut self, handler: usize) -> Block {
        if let Some(block) = self.handlers[handler].dispatch {
            return block;
        }
        let block = self.b.create_block();
        let exception = self.b.append_block_param(block, I32);
        self.b.declare_value_needs_stack_map(exception);
        self.traced_pushed += 1;
        self.handlers[handler].dispatch = Some(block);
        block
    }

    fn landing(&mut self, handler: usize) -> Block {
        if let Some(block) = self.handlers[handler].landing {
            return block;
        }
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        self.b.append_block_param(block, I64);
        self.handlers[handler].landing = Some(block);
        block
    }

    /// The innermost handler, if the code at hand is in the reach of one.
    pub(super) fn active_handler(&self) -> Option<usize> {
        self.handlers.len().checked_sub(1)
    }

    /// The exception table of a call that returns `results` values to `normal` and throws to `handler`.
    pub(super) fn exception_table(
        &mut self,
        handler: usize,
        sig: SigRef,
        normal: Block,
        results: usize,
    ) -> ExceptionTable {
        let landing = self.landing(handler);
        let dfg = &mut self.b.func.dfg;
        let returned = (0..results).map(|number| BlockArg::TryCallRet(number as u32));
        let normal = BlockCall::new(normal, returned, &mut dfg.value_lists);
        let landing = BlockCall::new(landing, [BlockArg::TryCallExn(0)], &mut dfg.value_lists);
        let table = ExceptionTableData::new(sig, normal, [ExceptionTableItem::Default(landing)]);
        dfg.exception_tables.push(table)
    }

    /// Opens the handler of the label that is about to be pushed.
    pub(super) fn open_handler(&mut self, op: &LabelOp<'_>) {
        let clauses = match op {
            LabelOp::TryTable(table) => table.catches.clone(),
            LabelOp::Try => Vec::new(),
            LabelOp::Block | LabelOp::Loop | LabelOp::If => return,
        };
        let label = self.control.len();
        self.handlers.push(Handler { label, clauses, dispatch: None, landing: None });
    }

    /// Ends the innermost handler's body: its exceptions, if there can be any, go on in the returned block.
    fn close_handler(&mut self) -> Result<(Handler, Option<(Block, Value)>), Error> {
        let last = self.handlers.len().checked_sub(1).ok_or_else(|| internal("no handler is open"))?;
        if let Some(landing) = self.handlers[last].landing {
            let dispatch = self.dispatch(last);
            self.b.seal_block(landing);
            self.b.switch_to_block(landing);
            let payload = self.b.block_params(landing)[0];
            let exception = self.b.ins().ireduce(I32, payload);
            self.b.ins().jump(dispatch, &[BlockArg::Value(exception)]);
        }
        let handler = self.handlers.pop().ok_or_else(|| internal("no handler is open"))?;
        let entry = handler.dispatch.map(|dispatch| {
            self.b.seal_block(dispatch);
            (dispatch, self.b.block_params(dispatch)[0])
        });
        Ok((handler, entry))
    }

    /// Fills the dispatch of a `try_table` whose label has been popped: the clauses' labels count from outside of it.
    pub(super) fn close_try_table(&mut self) -> Result<(), Error> {
        let (handler, entry) = self.close_handler()?;
        let Some((dispatch, exception)) = entry else { return Ok(()) };
        self.b.switch_to_block(dispatch);
        let height = self.stack.len();
        let mut actual = None;
        for clause in handler.clauses {
            let (wanted, label, with_reference) = match clause {
                Catch::One { tag, label } => (Some(tag), label, false),
                Catch::OneRef { tag, label } => (Some(tag), label, true),
                Catch::All { label } => (None, label, false),
                Catch::AllRef { label } => (None, label, true),
            };
            let miss = match wanted {
                Some(tag) => {
                    let actual = match actual {
                        Some(actual) => actual,
                        None => *actual.insert(self.exception_tag(exception)?),
                    };
                    let miss = self.branch_unless_tag(actual, tag);
                    self.push_payload(exception, tag)?;
                    Some(miss)
                }
                None => None,
            };
            if with_reference {
                self.push(exception); // declared as the dispatch block's parameter
            }
            let (target, arity) = self.branch_target(label);
            self.count_passed(arity)?;
            let args = block_args(&self.peek_n(arity));
            self.b.ins().jump(target, args.iter());
            self.stack.truncate(height);
            match miss {
                Some(miss) => self.b.switch_to_block(miss),
                None => return Ok(()),
            }
        }
        self.throw_on(exception);
        Ok(())
    }

    /// Goes on where `actual` is the number of tag `index`; gives the block, sealed and empty, where it is not.
    fn branch_unless_tag(&mut self, actual: Value, index: u32) -> Block {
        let expected = self.tag_number(index);
        let same = self.b.ins().icmp(IntCC::Equal, actual, expected);
        let (hit, miss) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(same, hit, &[], miss, &[]);
        self.b.seal_block(miss);
        self.enter(hit);
        miss
    }
}

/// The legacy instructions.
impl FuncTranslator<'_> {
    /// `catch`, and `catch_all` without a tag.
    pub(super) fn open_catch(&mut self, tag: Option<u32>) -> Result<(), Error> {
        if self.dead && self.dead_depth > 0 {
            return Ok(());
        }
        if !self.dead {
            self.leave()?;
        }
        let label = self.control.last().ok_or_else(|| internal("catch outside of a block"))?;
        let (kind, height) = (label.kind, label.height);
        self.stack.truncate(height);
        let mut caught = match kind {
            LabelKind::Try => {
                let (_, entry) = self.close_handler()?;
                self.catches += u64::from(entry.is_some());
                self.greatest_catches = self.greatest_catches.max(self.catches);
                Caught {
                    exception: entry.map(|(_, exception)| exception),
                    otherwise: entry.map(|(block, _)| block),
                }
            }
            LabelKind::Catch(caught) => caught,
            _ => return Err(internal("catch without try")),
        };
        self.die();
        if let Caught { exception: Some(exception), otherwise: Some(block) } = caught {
            self.dead = false;
            self.b.switch_to_block(block);
            caught.otherwise = match tag {
                Some(tag) => {
                    let actual = self.exception_tag(exception)?;
                    let miss = self.branch_unless_tag(actual, tag);
                    self.push_payload(exception, tag)?;
                    Some(miss)
                }
                None => None,
            };
        }
        let label = self.control.last_mut().ok_or_else(|| internal("catch outside of a block"))?;
        label.kind = LabelKind::Catch(caught);
        Ok(())
    }

    /// The end of a legacy `try` without clauses, whose label has been popped: exceptions pass.
    pub(super) fn close_try(&mut self) -> Result<(), Error> {
        if let (_, Some((dispatch, exception))) = self.close_handler()? {
            self.b.switch_to_block(dispatch);
            self.throw_on(exception);
        }
        Ok(())
    }

    /// The end of the clauses of a legacy `try`, whose label has been popped: exceptions that none of them took pass.
    pub(super) fn close_catch(&mut self, caught: Caught) {
        self.catches -= u64::from(caught.exception.is_some());
        if let Caught { exception: Some(exception), otherwise: Some(block) } = caught {
            self.b.switch_to_block(block);
            self.throw_on(exception);
        }
    }

    /// `delegate`, which also ends the `try`. Its label counts from outside of the `try`; exceptions go to the innermost
    /// handler that encloses the inside of that block.
    pub(super) fn delegate(&mut self, depth: u32) -> Result<(), Error> {
        if self.dead && self.dead_depth > 0 {
            self.dead_depth -= 1;
            return Ok(());
        }
        if !self.dead {
            self.leave()?;
        }
        let label = self.control.pop().ok_or_else(|| internal("delegate outside of a block"))?;
        self.stack.truncate(label.height);
        let (_, entry) = self.close_handler()?;
        if let Some((dispatch, exception)) = entry {
            let block = (self.control.len() - 1).checked_sub(depth as usize);
            let block = block.ok_or_else(|| internal("delegate beyond the function"))?;
            let enclosing = self.handlers.partition_point(|handler| handler.label <= block);
            self.b.switch_to_block(dispatch);
            self.throw_to(enclosing.checked_sub(1), exception);
        }
        self.resume_after(&label);
        Ok(())
    }
}
