//! How much work a function makes for Cranelift, from counts of its translation: what is too much for the engine's
//! options is compiled plainly (no optimisation, the allocator with one pass), what is too much for that not at all.
//!
//! Optimised code is quadratic, and worse, in what follows; seconds on one core of an old server, with the
//! options' default:
//!
//! | shape, n of them | n | seconds | n | seconds | n | plainly |
//! |---|---|---|---|---|---|---|
//! | `try_table (catch 0) call end` in a row | 2112 | 0.2 | 8000 | 0.9 | 32000 | 1.2 |
//! | `struct.new` | 2292 | 0.4 | | | 32000 | 1.4 |
//! | sum of checked 64-bit loads, which optimisation defers | 1056 | 1.2 | 2000 | 4.5 | 32000 | 0.7 |
//! | 3000 locals that live over n `br_if`s | 1000 | 1.3 | 2000 | 3.0 | 2000 | 0.2 |
//! | n operands that wait, each over one `br_if` more | | | | | 12000 | 2.1 |
//! | n loops within each other | 7724 | 0.4 | | | 32000 | 1.5 |
//!
//! The allocator splits what lives over many blocks at each call (blocks × instructions bounds that, and values that
//! optimisation lets live longer), and looks again at each value in each block (value, block). Plainly, only pairs count.

use crate::{Error, ErrorKind};

/// Most (block, instruction) pairs, of CLIF, for the engine's options.
const MAX_BLOCK_INSTS: u64 = 1 << 25;
/// Most (local or operand, block where it may live) pairs for the engine's options.
const MAX_LIVE: u64 = 1 << 20;
/// Most (operand that waits, block) pairs.
const MAX_WAITING: u64 = 1 << 25;
/// Most (open label, block) pairs: some 4 seconds, if they are loops.
const MAX_NESTED: u64 = 1 << 32;

/// The counts of one function.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Blocks and instructions of CLIF.
    pub(super) blocks: u64,
    pub(super) insts: u64,
    /// Locals that are in SSA form.
    pub(super) locals: u64,
    /// Over the blocks, operands that wait and labels that are open where the block is made.
    waiting: u64,
    nested: u64,
}

impl Work {
    /// After an instruction: the function has `blocks` now, with `operands` on the stack and `labels` open.
    ///
    /// # Errors
    /// `Limit` when the function is too much work whatever the options are.
    pub(super) fn count(&mut self, blocks: u64, operands: usize, labels: usize) -> Result<(), Error> {
        let new = blocks - self.blocks;
        self.blocks = blocks;
        self.waiting += new * operands as u64;
        self.nested += new * labels as u64;
        for (what, given, limit) in [
            ("pairs of an operand that waits and a block", self.waiting, MAX_WAITING),
            ("pairs of an open label and a block", self.nested, MAX_NESTED),
        ] {
            if given > limit {
                return Err(Error::new(ErrorKind::Limit { what, given, limit, place: None }));
            }
        }
        Ok(())
    }

    /// Whether the function is too much work for other options than the plain ones.
    pub(crate) fn is_large(&self) -> bool {
        self.blocks * self.insts > MAX_BLOCK_INSTS || self.locals * self.blocks + self.waiting > MAX_LIVE
    }
}
