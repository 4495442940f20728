//! Stacks of fibers, with a guard page each, and the pool of an engine that keeps some for the next ones.

use std::sync::{Mutex, PoisonError};

use corosensei::stack::{DefaultStack, Stack, StackPointer};

use crate::stack::{Bounds, HOST_RESERVE};
use crate::{Error, ErrorKind, Resource};

/// Stacks that stay mapped although no fiber uses them.
const KEPT: usize = 64;

/// Room for what lies above the first wasm frame, and for rounding.
const ENTRY_RESERVE: usize = 64 << 10;

/// A fiber's stack.
pub(crate) struct FiberStack(DefaultStack);

impl FiberStack {
    /// Where it may be used.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { low: self.0.limit().get() + GUARD, high: self.0.base().get() }
    }
}

/// The page below.
const GUARD: usize = 4096;

// SAFETY: all is as the stack inside has it.
unsafe impl Stack for FiberStack {
    fn base(&self) -> StackPointer {
        self.0.base()
    }
    fn limit(&self) -> StackPointer {
        self.0.limit()
    }
}

/// An engine's unused stacks.
#[derive(Default)]
pub(crate) struct StackPool(Mutex<Vec<FiberStack>>);

impl StackPool {
    /// A stack on which wasm code may use `wasm` bytes; all those of a pool have one size.
    ///
    /// # Errors
    /// `Exhausted(Fibers)` when the system gives none.
    pub(crate) fn take(&self, wasm: usize) -> Result<FiberStack, Error> {
        if let Some(kept) = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(kept);
        }
        let stack = DefaultStack::new(wasm + HOST_RESERVE + ENTRY_RESERVE);
        stack.map(FiberStack).map_err(|_| Error::new(ErrorKind::Exhausted(Resource::Fibers)))
    }

    /// Takes one back that nothing runs on.
    pub(crate) fn give(&self, stack: FiberStack) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(stack);
        }
    }
}
