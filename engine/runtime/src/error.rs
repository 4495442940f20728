//! The one error of this crate. Failures of different origin are never mixed: what the bytes did wrong, what linking
//! found, what the program did (a trap), what ran out, what the host said, and what must never happen.

use std::fmt;

use assay_jit::{Place, TrapCode};

use crate::Exception;

/// A resource that ran out. The program may be right: another limit may let it finish.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resource {
    /// Wasm's call stack.
    CallStack,
    /// Fuel.
    Fuel,
    /// The limit of the garbage-collected heap.
    GcHeap,
    /// A linear memory beyond the configured limit, or beyond what the system gives.
    Memory,
    /// A table beyond the configured limit, or beyond what the system gives.
    Table,
    /// Fibers beyond the configured limit, or their stacks beyond what the system gives.
    Fibers,
}

/// Why an import was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkReason {
    /// Nothing of that name is defined.
    Unknown,
    /// Something of another kind, or of a type that does not match.
    Incompatible,
}

/// A mistake of the embedder.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Usage {
    /// The handle belongs to another store.
    WrongStore,
    /// The module or type belongs to another engine.
    WrongEngine,
    /// Another number of values.
    Arity {
        /// How many are needed.
        expected: usize,
        /// How many were given.
        given: usize,
    },
    /// A value of another type; the index counts arguments, results or imports.
    Type {
        /// Which value.
        index: usize,
    },
    /// The global cannot be set.
    Immutable,
    /// An index or range outside a table or memory.
    OutOfRange {
        /// The first index wanted.
        given: u64,
        /// The size.
        size: u64,
    },
    /// No collector of that name.
    UnknownCollector(String),
    /// A request that needs that no wasm code is active in the store.
    Active,
    /// Nothing of that name or kind.
    NotFound(String),
    /// A fiber that cannot do that.
    Fiber(FiberMisuse),
}

/// What cannot be done with a fiber.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FiberMisuse {
    /// It has ended or was cancelled.
    Ended,
    /// It is running, or waits for a fiber that it has resumed.
    Running,
    /// A turn of no fuel or of no epochs.
    EmptySlice,
    /// The engine's code has no yields, or does not count fuel.
    NoYields,
    /// Nothing to suspend: the call is not one of a fiber, or on another stack.
    NotOnFiber,
    /// An asynchronous host function was called by other means than an asynchronous call.
    NotAsync,
    /// It waits with frames of host functions on its stack, whose content may belong to the thread that it waits in.
    OtherThread,
    /// The store is being dropped.
    Closing,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not a module.
    Malformed {
        /// Byte offset.
        offset: usize,
        /// What is wrong.
        message: String,
    },
    /// The module is not valid.
    Invalid {
        /// Byte offset.
        offset: usize,
        /// What is wrong.
        message: String,
    },
    /// A feature that this engine lacks.
    Unsupported {
        /// Byte offset.
        offset: usize,
        /// Which.
        message: String,
    },
    /// Above an implementation limit of the compiler.
    Limit {
        /// Of what.
        what: &'static str,
        /// What is asked for.
        given: u64,
        /// The limit.
        limit: u64,
        /// The function, if it is one's.
        place: Option<Place>,
    },
    /// An import is missing or of another type.
    Link {
        /// Module name of the import.
        module: String,
        /// Field name of the import.
        name: String,
        /// What is wrong with it.
        why: LinkReason,
    },
    /// The program trapped.
    Trap(TrapCode),
    /// An exception that no handler took. A host function that returns it throws the same exception on.
    Exception(Exception),
    /// The fiber was given up while it was suspended.
    Cancelled,
    /// A resource ran out.
    Exhausted(Resource),
    /// A host function failed.
    Host(Box<dyn std::error::Error + Send + Sync>),
    /// This machine cannot run the engine.
    Machine(String),
    /// The heap held a word that no valid program writes: a bug of the engine.
    Corrupt(String),
    /// What cannot happen: a bug of the engine.
    Internal(String),
    /// A mistake of the embedder.
    Usage(Usage),
}

/// A frame of a trap's backtrace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The instance's number in its store, when its module was instantiated once; `None` otherwise and for host functions.
    pub instance: Option<u32>,
    /// The function's index in its module; `None` for a host function.
    pub function: Option<u32>,
    /// Its name in the name section.
    pub name: Option<String>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    frames: Vec<Frame>,
}

/// The error of this crate; see [`Error::kind`].
#[derive(Debug)]
pub struct Error(Box<Inner>);

impl Error {
    /// Makes an error of `kind`.
    pub fn new(kind: ErrorKind) -> Error {
        Error(Box::new(Inner { kind, frames: Vec::new() }))
    }
    /// An error of a host function.
    pub fn host(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::new(ErrorKind::Host(error.into()))
    }
    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }
    /// The same, by value.
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }
    /// The wasm frames that were active, youngest first, at most 64.
    pub fn backtrace(&self) -> &[Frame] {
        &self.0.frames
    }
    /// The exception, if it is one.
    pub fn exception(&self) -> Option<&Exception> {
        match &self.0.kind {
            ErrorKind::Exception(exception) => Some(exception),
            _ => None,
        }
    }
    /// The trap, if it is one.
    pub fn trap(&self) -> Option<TrapCode> {
        match self.0.kind {
            ErrorKind::Trap(code) => Some(code),
            _ => None,
        }
    }
    /// The resource, if one ran out.
    pub fn exhausted(&self) -> Option<Resource> {
        match self.0.kind {
            ErrorKind::Exhausted(what) => Some(what),
            _ => None,
        }
    }
    /// A mistake of the embedder.
    pub(crate) fn usage(usage: Usage) -> Error {
        Error::new(ErrorKind::Usage(usage))
    }
    /// What cannot happen.
    pub(crate) fn internal(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal(what.into()))
    }
    /// A word that no valid program writes.
    pub(crate) fn corrupt(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt(what.into()))
    }
    /// What generated code raised.
    pub(crate) fn of_trap(code: TrapCode) -> Error {
        Error::new(match code {
            TrapCode::StackOverflow => ErrorKind::Exhausted(Resource::CallStack),
            TrapCode::OutOfFuel => ErrorKind::Exhausted(Resource::Fuel),
            TrapCode::GcHeapExhausted => ErrorKind::Exhausted(Resource::GcHeap),
            TrapCode::CorruptHeap => {
                ErrorKind::Corrupt("generated code met an impossible reference".to_owned())
            }
            other => ErrorKind::Trap(other),
        })
    }
    /// Appends older frames.
    pub(crate) fn push_frames(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let room = 64usize.saturating_sub(self.0.frames.len());
        self.0.frames.extend(frames.into_iter().take(room));
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::CallStack => "call stack exhausted",
            Resource::Fuel => "out of fuel",
            Resource::GcHeap => "garbage-collected heap exhausted",
            Resource::Memory => "linear memory limit exceeded",
            Resource::Table => "table limit exceeded",
            Resource::Fibers => "fiber limit exceeded",
        })
    }
}

impl fmt::Display for FiberMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FiberMisuse::Ended => "the fiber has ended",
            FiberMisuse::Running => "the fiber is running",
            FiberMisuse::EmptySlice => "a turn of a fiber needs at least 1 of fuel or epochs",
            FiberMisuse::NoYields => "the engine's code has no yields, or does not count fuel",
            FiberMisuse::NotOnFiber => "not on a fiber",
            FiberMisuse::NotAsync => "an asynchronous host function needs an asynchronous call",
            FiberMisuse::OtherThread => "the fiber waits in a host function of another thread",
            FiberMisuse::Closing => "the store is being dropped",
        })
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Usage::WrongStore => f.write_str("handle of another store"),
            Usage::WrongEngine => f.write_str("module or type of another engine"),
            Usage::Arity { expected, given } => write!(f, "{given} values given, {expected} needed"),
            Usage::Type { index } => write!(f, "value {index} has another type"),
            Usage::Immutable => f.write_str("the global is immutable"),
            Usage::OutOfRange { given, size } => write!(f, "index {given} is outside of size {size}"),
            Usage::UnknownCollector(name) => write!(f, "no collector named {name:?}"),
            Usage::Active => f.write_str("wasm code is active in this store"),
            Usage::NotFound(name) => write!(f, "nothing named {name:?} of that kind"),
            Usage::Fiber(misuse) => write!(f, "{misuse}"),
        }
    }
}

/// The words of the specification's test suite for a trap.
fn trap_text(code: TrapCode) -> &'static str {
    match code {
        TrapCode::Unreachable => "unreachable",
        TrapCode::IntegerDivideByZero => "integer divide by zero",
        TrapCode::IntegerOverflow => "integer overflow",
        TrapCode::InvalidConversionToInteger => "invalid conversion to integer",
        TrapCode::MemoryOutOfBounds => "out of bounds memory access",
        TrapCode::TableOutOfBounds => "out of bounds table access",
        TrapCode::UninitializedElement => "uninitialized element",
        TrapCode::IndirectCallTypeMismatch => "indirect call type mismatch",
        TrapCode::NullReference => "null reference",
        TrapCode::ArrayOutOfBounds => "out of bounds array access",
        TrapCode::CastFailure => "cast failure",
        TrapCode::AllocationTooLarge => "allocation size too large",
        TrapCode::StackOverflow => "call stack exhausted",
        TrapCode::OutOfFuel => "out of fuel",
        TrapCode::GcHeapExhausted => "garbage-collected heap exhausted",
        TrapCode::CorruptHeap => "corrupt heap",
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ErrorKind::Malformed { offset, message } => {
                write!(f, "malformed module at offset {offset:#x}: {message}")
            }
            ErrorKind::Invalid { offset, message } => {
                write!(f, "invalid module at offset {offset:#x}: {message}")
            }
            ErrorKind::Unsupported { offset, message } => {
                write!(f, "unsupported at offset {offset:#x}: {message}")
            }
            ErrorKind::Limit { what, given, limit, place } => {
                write!(f, "too many {what}: {given}, the limit is {limit}")?;
                place.map_or(Ok(()), |place| write!(f, ", in {place}"))
            }
            ErrorKind::Link { module, name, why: LinkReason::Unknown } => {
                write!(f, "unknown import {module:?} {name:?}")
            }
            ErrorKind::Link { module, name, why: LinkReason::Incompatible } => {
                write!(f, "incompatible import type of {module:?} {name:?}")
            }
            ErrorKind::Trap(code) => write!(f, "trap: {}", trap_text(*code)),
            ErrorKind::Exception(exception) => {
                write!(f, "uncaught exception of tag {}", exception.tag().number())
            }
            ErrorKind::Cancelled => f.write_str("the fiber was cancelled"),
            ErrorKind::Exhausted(what) => write!(f, "{what}"),
            ErrorKind::Host(error) => write!(f, "host function: {error}"),
            ErrorKind::Machine(what) => write!(f, "this machine cannot run the engine: {what}"),
            ErrorKind::Corrupt(what) => write!(f, "corrupt heap: {what}"),
            ErrorKind::Internal(what) => write!(f, "internal error: {what}"),
            ErrorKind::Usage(usage) => write!(f, "{usage}"),
        }?;
        for frame in &self.0.frames {
            match (frame.function, &frame.name) {
                (Some(index), Some(name)) => write!(f, "\n  in function {index} (${name})")?,
                (Some(index), None) => write!(f, "\n  in function {index}")?,
                (None, _) => write!(f, "\n  in a host function")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Host(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<assay_jit::Error> for Error {
    fn from(error: assay_jit::Error) -> Error {
        use assay_jit::ErrorKind as Jit;
        Error::new(match error.kind().clone() {
            Jit::Malformed { offset, message } => ErrorKind::Malformed { offset, message },
            Jit::Invalid { offset, message } => ErrorKind::Invalid { offset, message },
            Jit::Unsupported { offset, message } => ErrorKind::Unsupported { offset, message },
            Jit::Limit { what, given, limit, place } => ErrorKind::Limit { what, given, limit, place },
            Jit::Types(kind) => return Error::from(assay_gc::Error::new(kind)),
            Jit::Machine(why) => ErrorKind::Machine(why),
            other => ErrorKind::Internal(assay_jit::Error::new(other).to_string()),
        })
    }
}

impl From<assay_gc::Error> for Error {
    fn from(error: assay_gc::Error) -> Error {
        use assay_gc::ErrorKind as Gc;
        Error::new(match error.kind() {
            Gc::TypeLimit { given, limit } => {
                ErrorKind::Limit { what: "types", given: *given as u64, limit: *limit as u64, place: None }
            }
            Gc::Reservation { .. } => ErrorKind::Exhausted(Resource::Memory),
            Gc::UnknownCollector(name) => ErrorKind::Usage(Usage::UnknownCollector(name.clone())),
            Gc::Corrupt { .. } | Gc::Verify(_) => ErrorKind::Corrupt(error.to_string()),
            _ => ErrorKind::Internal(error.to_string()),
        })
    }
}
