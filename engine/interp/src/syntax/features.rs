//! What a module may use beyond the specification's core.

/// Extensions that are off unless asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The exception instructions of before `try_table`: `try`, `catch`, `catch_all`, `rethrow`, `delegate` (the specification's
    /// document/legacy/exceptions). When off, their opcodes are illegal.
    pub legacy_exceptions: bool,
}
