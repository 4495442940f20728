//! Control instructions: blocks and branches (calls stand in `call.rs`, exceptions in `exceptions.rs`). While the code at hand cannot be reached,
//! nothing is translated and only the nesting of blocks is counted.
//!
//! Invariant: a block's parameters are declared for stack maps when the block is made, so that a branch cannot bring a
//! reference into an undeclared value.

use std::collections::HashMap;

use assay_gc::ValType;
use cranelift_codegen::ir::types::I32;
use cranelift_codegen::ir::{Block, InstBuilder, JumpTableData, Value};
use wasmparser::{BlockType, BrTable, TryTable};

use super::exceptions::Caught;
use super::{FuncTranslator, Values, block_args, clif_type};
use crate::convert::internal;
use crate::{Error, ErrorKind};

/// What opened a label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LabelKind {
    /// `block`, and the function's body.
    Block,
    /// `loop`.
    Loop,
    /// `if`, its else branch still to come.
    If(Block),
    /// `else`.
    Else,
    /// `try_table`; its clauses stand in the innermost handler.
    TryTable,
    /// A legacy `try` before its first clause.
    Try,
    /// A clause of a legacy `try`.
    Catch(Caught),
}

/// An open block.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) kind: LabelKind,
    /// Where a branch to the label goes.
    pub(super) target: Block,
    /// How many values it takes along.
    pub(super) arity: usize,
    /// What follows the `end`; its parameters are the block's results.
    pub(super) next: Block,
    /// How many results the block has.
    pub(super) results: usize,
    /// Height of the value stack below the block's parameters.
    pub(super) height: usize,
    /// The parameters of an `if`, for its else branch.
    pub(super) params: Values,
    /// Whether `next` has a predecessor.
    pub(super) reached: bool,
}

/// Most block arguments, call arguments and call results of a function: short instructions can name labels and
/// functions with 1,000 of them.
const MAX_PASSED_VALUES: u64 = 1 << 21;

/// Blocks.
impl FuncTranslator<'_> {
    /// Counts values that an instruction passes on.
    ///
    /// # Errors
    /// `Limit` when there are too many for one function.
    pub(super) fn count_passed(&mut self, values: usize) -> Result<(), Error> {
        self.passed += values as u64;
        if self.passed > MAX_PASSED_VALUES {
            let what = "values passed to blocks and calls of a function";
            return Err(Error::new(ErrorKind::Limit {
                what,
                given: self.passed,
                limit: MAX_PASSED_VALUES,
                place: None,
            }));
        }
        Ok(())
    }

    /// A block with parameters of `types`.
    pub(super) fn block_of(&mut self, types: &[ValType]) -> Block {
        let block = self.b.create_block();
        for ty in types {
            let param = self.b.append_block_param(block, clif_type(ty));
            if self.is_traced(ty) {
                self.b.declare_value_needs_stack_map(param);
                self.traced_pushed += 1;
            }
        }
        block
    }

    /// Opens the label of the function's body.
    pub(super) fn open_body(&mut self, results: &[ValType]) {
        let next = self.block_of(results);
        let (results, arity) = (results.len(), results.len());
        let kind = LabelKind::Block;
        let params = Values::new();
        self.control.push(Label {
            kind,
            target: next,
            arity,
            next,
            results,
            height: 0,
            params,
            reached: false,
        });
    }

    /// `block`, `loop`, `if`, `try_table` and `try`.
    pub(super) fn open(&mut self, op: LabelOp<'_>, ty: BlockType) -> Result<(), Error> {
        if self.dead {
            self.dead_depth += 1;
            return Ok(());
        }
        let single;
        let (params, results): (&[ValType], &[ValType]) = match ty {
            BlockType::Empty => (&[], &[]),
            BlockType::Type(ty) => {
                single = [self.convert().value(ty)?];
                (&[], &single)
            }
            BlockType::FuncType(index) => {
                let ty = self.func_type(self.type_id(index))?;
                (&ty.params, &ty.results)
            }
        };
        self.count_passed(params.len() + results.len())?;
        let cond = (op == LabelOp::If).then(|| self.pop());
        let next = self.block_of(results);
        let height = self.stack.len() - params.len();
        let mut label = Label {
            kind: LabelKind::Block,
            target: next,
            arity: results.len(),
            next,
            results: results.len(),
            height,
            params: Values::new(),
            reached: false,
        };
        if let Some(cond) = cond {
            let (then, alternative) = (self.b.create_block(), self.b.create_block());
            self.b.ins().brif(cond, then, &[], alternative, &[]);
            self.b.seal_block(alternative);
            self.enter(then);
            label.kind = LabelKind::If(alternative);
            label.params = self.peek_n(params.len());
        } else if op == LabelOp::Loop {
            let header = self.block_of(params);
            let args = self.pop_n(params.len());
            self.b.ins().jump(header, block_args(&args).iter());
            self.b.switch_to_block(header);
            self.stack.extend_from_slice(self.b.block_params(header));
            label.kind = LabelKind::Loop;
            (label.target, label.arity) = (header, params.len());
        } else if let LabelOp::TryTable(_) = op {
            label.kind = LabelKind::TryTable;
        } else if op == LabelOp::Try {
            label.kind = LabelKind::Try;
        }
        self.open_handler(&op);
        self.control.push(label);
        if op == LabelOp::Loop {
            self.fuel_point();
            self.poll();
        }
        Ok(())
    }

    /// `else`.
    pub(super) fn open_else(&mut self) -> Result<(), Error> {
        if self.dead && self.dead_depth > 0 {
            return Ok(());
        }
        if !self.dead {
            self.leave()?;
        }
        let label = self.control.last_mut().ok_or_else(|| internal("else outside of a block"))?;
        let LabelKind::If(alternative) = label.kind else { return Err(internal("else without if")) };
        label.kind = LabelKind::Else;
        self.stack.truncate(label.height);
        self.stack.extend_from_slice(&label.params);
        self.b.switch_to_block(alternative);
        self.dead = false;
        Ok(())
    }

    /// Jumps to what follows the innermost block, with its results.
    pub(super) fn leave(&mut self) -> Result<(), Error> {
        let label = self.control.last_mut().ok_or_else(|| internal("end outside of a block"))?;
        label.reached = true;
        let (next, results) = (label.next, label.results);
        self.count_passed(results)?;
        let args = block_args(&self.peek_n(results));
        self.b.ins().jump(next, args.iter());
        Ok(())
    }

    /// `end`. True when it was the function's.
    pub(super) fn close(&mut self) -> Result<bool, Error> {
        if self.dead && self.dead_depth > 0 {
            self.dead_depth -= 1;
            return Ok(false);
        }
        let label = self.control.last().ok_or_else(|| internal("end outside of a block"))?;
        let falls_through = matches!(label.kind, LabelKind::Block | LabelKind::Loop);
        if !self.dead && !label.reached && falls_through {
            // Only this way leads to the end: the code at hand goes on, with the results where they are.
            if label.kind == LabelKind::Loop {
                self.b.seal_block(label.target);
            }
            self.control.pop();
            return Ok(self.control.is_empty());
        }
        if !self.dead {
            self.leave()?;
        }
        let mut label = self.control.pop().ok_or_else(|| internal("end outside of a block"))?;
        self.stack.truncate(label.height);
        match label.kind {
            LabelKind::Loop => self.b.seal_block(label.target),
            LabelKind::If(alternative) => {
                self.b.switch_to_block(alternative);
                self.b.ins().jump(label.next, block_args(&label.params).iter());
                label.reached = true;
            }
            LabelKind::TryTable => self.close_try_table()?,
            LabelKind::Try => self.close_try()?,
            LabelKind::Catch(caught) => self.close_catch(caught),
            LabelKind::Block | LabelKind::Else => {}
        }
        self.resume_after(&label);
        Ok(self.control.is_empty())
    }

    /// Continues behind a block whose label has been popped.
    pub(super) fn resume_after(&mut self, label: &Label) {
        self.stack.truncate(label.height);
        self.dead = !label.reached;
        if label.reached {
            self.b.seal_block(label.next);
            self.b.switch_to_block(label.next);
            self.stack.extend_from_slice(self.b.block_params(label.next));
        }
    }

    /// Everything up to the `end` or `else` of the innermost block is unreachable.
    pub(super) fn die(&mut self) {
        self.dead = true;
        self.dead_depth = 0;
    }
}

/// The instruction that opens a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LabelOp<'a> {
    /// `block`
    Block,
    /// `loop`
    Loop,
    /// `if`
    If,
    /// `try_table`
    TryTable(&'a TryTable),
    /// `try` (legacy)
    Try,
}

/// Branches.
impl FuncTranslator<'_> {
    /// The label `depth` levels up, marked as branched to: (block, its arity).
    pub(super) fn branch_target(&mut self, depth: u32) -> (Block, usize) {
        let at = self.control.len() - 1 - depth as usize;
        let label = &mut self.control[at];
        label.reached |= label.kind != LabelKind::Loop;
        (label.target, label.arity)
    }

    /// The top `n` values, left on the stack.
    pub(super) fn peek_n(&self, n: usize) -> Values {
        self.stack[self.stack.len() - n..].into()
    }

    /// Branches to label `depth` if `cond` is not zero, with the top of the stack as arguments, which stay there.
    ///
    /// # Errors
    /// `Limit` when the function passes too many values.
    pub(crate) fn branch_if(&mut self, cond: Value, depth: u32) -> Result<(), Error> {
        let (target, arity) = self.branch_target(depth);
        self.count_passed(arity)?;
        let args = block_args(&self.peek_n(arity));
        let next = self.b.create_block();
        self.b.ins().brif(cond, target, args.iter(), next, &[]);
        self.enter(next);
        Ok(())
    }

    /// `br`
    pub(super) fn branch(&mut self, depth: u32) -> Result<(), Error> {
        let (target, arity) = self.branch_target(depth);
        self.count_passed(arity)?;
        let args = block_args(&self.peek_n(arity));
        self.b.ins().jump(target, args.iter());
        self.die();
        Ok(())
    }

    /// `br_table`. Labels with arguments get a block each, however often the table names them.
    pub(super) fn branch_table(&mut self, targets: &BrTable<'_>) -> Result<(), Error> {
        let index = self.pop();
        let mut by_depth: HashMap<u32, Block> = HashMap::new();
        let mut forward: Vec<(Block, Block, usize)> = Vec::new();
        let mut entries = Vec::with_capacity(targets.len() as usize);
        for depth in targets.targets().chain([Ok(targets.default())]) {
            let depth = depth.map_err(|error| internal(error.message()))?;
            let block = match by_depth.get(&depth) {
                Some(block) => *block,
                None => {
                    let (target, arity) = self.branch_target(depth);
                    let block = if arity == 0 { target } else { self.b.create_block() };
                    if arity > 0 {
                        self.count_passed(arity)?;
                        forward.push((block, target, arity));
                    }
                    by_depth.insert(depth, block);
                    block
                }
            };
            entries.push(self.b.func.dfg.block_call(block, &[]));
        }
        let default = entries.pop().ok_or_else(|| internal("br_table without default"))?;
        let table = self.b.create_jump_table(JumpTableData::new(default, &entries));
        self.b.ins().br_table(index, table);
        for (block, target, arity) in forward {
            self.b.seal_block(block);
            self.b.switch_to_block(block);
            let args = block_args(&self.peek_n(arity));
            self.b.ins().jump(target, args.iter());
        }
        self.die();
        Ok(())
    }

    /// `return`
    pub(super) fn return_values(&mut self) {
        let arity = self.control[0].arity;
        let values = self.peek_n(arity);
        self.b.ins().return_(&values);
        self.die();
    }

    /// A constant index or number of a builtin's arguments.
    pub(crate) fn iconst32(&mut self, value: u32) -> Value {
        self.iconst(I32, i64::from(value))
    }
}
