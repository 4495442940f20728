//! Control instructions: blocks, branches, calls stand in `call.rs`. While the code at hand cannot be reached, nothing
//! is translated and only the nesting of blocks is counted.

use assay_gc::ValType;
use cranelift_codegen::ir::{Block, InstBuilder, Value};

use super::{FuncTranslator, Values, block_args};

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
}

/// An open block.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) kind: LabelKind,
    /// Where a branch to the label goes.
    pub(super) target: Block,
    /// How many values it takes along.
    pub(super) arity: usize,
    /// What follows the `end`.
    pub(super) next: Block,
    /// Types of the block's results: the parameters of `next`.
    pub(super) results: Box<[ValType]>,
    /// Height of the value stack below the block's parameters.
    pub(super) height: usize,
    /// The parameters of an `if`, for its else branch.
    pub(super) params: Values,
    /// Whether `next` has a predecessor.
    pub(super) reached: bool,
}

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
    pub(crate) fn branch_if(&mut self, cond: Value, depth: u32) {
        let (target, arity) = self.branch_target(depth);
        let args = block_args(&self.peek_n(arity));
        let next = self.b.create_block();
        self.b.ins().brif(cond, target, args.iter(), next, &[]);
        self.b.seal_block(next);
        self.b.switch_to_block(next);
    }
}
