//! Which instructions have been executed: for each stretch of code that control enters only at its start, whether it has.
//!
//! A stretch begins with the operation [`Code::Cover`](super::code::Code::Cover) and ends at the next place where control may
//! come from elsewhere (`else`, `end`, a handler) or may not come back (branches, calls, throws). An instruction that traps in
//! its middle is the last one executed: those after it count all the same.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::syntax::instructions::Instr;

/// A stretch of code of a body.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// Offset of the first instruction in the module.
    start: usize,
    /// Offset of the last.
    last: usize,
    entered: AtomicBool,
}

impl Stretch {
    pub(crate) fn new(start: usize) -> Stretch {
        Stretch { start, last: start, entered: AtomicBool::new(false) }
    }

    /// The next instruction belongs to it.
    pub(crate) fn extend(&mut self, at: usize) {
        self.last = at;
    }

    pub(crate) fn enter(&self) {
        self.entered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn forget(&self) {
        self.entered.store(false, Ordering::Relaxed);
    }

    /// Offsets of its instructions lie in this range, if it has been entered.
    pub(crate) fn entered(&self) -> Option<Range<usize>> {
        self.entered.load(Ordering::Relaxed).then(|| self.start..self.last + 1)
    }
}

/// Whether what comes after the instruction may be reached without it, or not be reached after it.
pub(crate) fn ends_stretch(instr: &Instr) -> bool {
    matches!(
        instr,
        Instr::Unreachable
            | Instr::If(_)
            | Instr::Else
            | Instr::End
            | Instr::Br(_)
            | Instr::BrIf(_)
            | Instr::BrTable { .. }
            | Instr::Return
            | Instr::Call(_)
            | Instr::CallIndirect { .. }
            | Instr::CallRef(_)
            | Instr::ReturnCall(_)
            | Instr::ReturnCallIndirect { .. }
            | Instr::ReturnCallRef(_)
            | Instr::BrOnNull(_)
            | Instr::BrOnNonNull(_)
            | Instr::BrOnCast { .. }
            | Instr::Throw(_)
            | Instr::ThrowRef
            | Instr::Catch(_)
            | Instr::CatchAll
            | Instr::Rethrow(_)
            | Instr::Delegate(_)
    )
}
