//! Why a case, or one of its calls, has no self-checking form.

use std::fmt;

/// The reason; each is counted under its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftOut {
    /// A module that wasmparser refuses as WebAssembly 3.0.
    InvalidModule,
    /// An import that no module of the case and none of the replacements gives.
    Import,
    /// Relaxed vector instructions: engines may differ in them.
    RelaxedVectors,
    /// A module that does not instantiate.
    Instantiation,
    /// No call is left.
    NoCall,
    /// A call of what is not there, or with arguments that do not fit.
    BadCall,
    /// A step that is expected to exhaust something.
    ExpectedExhaustion,
    /// Out of fuel.
    Fuel,
    /// Out of call stack.
    CallStack,
    /// Out of memory, of table elements or of heap.
    Memory,
    /// An allocation beyond what the interpreter takes: engines may differ in that.
    AllocationSize,
    /// The interpreter broke down.
    Crash,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeftOut::InvalidModule => "invalid module",
            LeftOut::Import => "import from outside",
            LeftOut::RelaxedVectors => "relaxed vector instructions",
            LeftOut::Instantiation => "module does not instantiate",
            LeftOut::NoCall => "no call left",
            LeftOut::BadCall => "wrong call",
            LeftOut::ExpectedExhaustion => "expected to exhaust something",
            LeftOut::Fuel => "out of fuel",
            LeftOut::CallStack => "out of call stack",
            LeftOut::Memory => "out of memory",
            LeftOut::AllocationSize => "allocation too large",
            LeftOut::Crash => "interpreter crashed",
        })
    }
}

impl std::error::Error for LeftOut {}
