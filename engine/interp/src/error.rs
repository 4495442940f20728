//! The crate's one error type. Every failure of decoding, linking, execution and of the embedder
//! ends here, and [`Error::kind`] keeps the spec's kinds of failure apart: a module that is
//! malformed, one that is invalid, a link failure, a trap, an exception, an exhausted resource, and a *crash*, which stands for
//! "cannot happen in valid code".

use std::borrow::Cow;
use std::fmt;

use crate::runtime::exception::Exception;
use crate::runtime::value::{FuncAddr, ObjectAddr, Ref, TagAddr, Value};
use crate::valid::Rule;

/// Why a computation trapped. Both executors of the project use the same set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrapKind {
    /// The instruction `unreachable` ran.
    Unreachable,
    /// An integer division or remainder by zero.
    IntegerDivideByZero,
    /// A quotient or a truncated float that its integer type cannot hold.
    IntegerOverflow,
    /// A NaN was truncated to an integer.
    InvalidConversionToInteger,
    /// A linear memory or data segment was accessed beyond its end.
    MemoryOutOfBounds,
    /// A table or element segment was accessed beyond its end.
    TableOutOfBounds,
    /// `call_indirect` found a null reference.
    UninitializedElement,
    /// `call_indirect` found a function of another type.
    IndirectCallTypeMismatch,
    /// A null reference was used where an object or function is needed.
    NullReference,
    /// An array was accessed beyond its end.
    ArrayOutOfBounds,
    /// `ref.cast` met a value of another type.
    CastFailure,
    /// An array larger than the implementation's object limit was asked for.
    AllocationTooLarge,
}

impl TrapKind {
    /// The wording of the official test suite for this trap.
    pub fn message(self) -> &'static str {
        match self {
            TrapKind::Unreachable => "unreachable",
            TrapKind::IntegerDivideByZero => "integer divide by zero",
            TrapKind::IntegerOverflow => "integer overflow",
            TrapKind::InvalidConversionToInteger => "invalid conversion to integer",
            TrapKind::MemoryOutOfBounds => "out of bounds memory access",
            TrapKind::TableOutOfBounds => "out of bounds table access",
            TrapKind::UninitializedElement => "uninitialized element",
            TrapKind::IndirectCallTypeMismatch => "indirect call type mismatch",
            TrapKind::NullReference => "null reference",
            TrapKind::ArrayOutOfBounds => "out of bounds array access",
            TrapKind::CastFailure => "cast failure",
            TrapKind::AllocationTooLarge => "allocation size too large",
        }
    }
}

/// A resource that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The call depth or the value stack of the configuration.
    CallStack,
    /// The fuel of the step.
    Fuel,
    /// The bytes allowed for heap objects.
    GcHeap,
    /// The pages or table elements allowed by the configuration.
    Memory,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The bytes are no module.
    Malformed,
    /// The module is well-formed, but a typing rule does not hold ([`Error::rule`]).
    Invalid,
    /// The module uses something that this interpreter does not implement, or exceeds one of its fixed limits.
    Unsupported,
    /// An import is missing or of the wrong type.
    Link,
    /// Execution trapped.
    Trap(TrapKind),
    /// An exception left the outermost function; see [`Error::exception`].
    Exception,
    /// A limit of the configuration was reached.
    Exhausted(Resource),
    /// A host function failed, or returned values of the wrong types.
    Host,
    /// An invariant of valid code was broken: the module is invalid, or the interpreter is wrong.
    Crash,
    /// The embedder called the interface wrongly (wrong arguments, unknown address).
    Usage,
}

/// Where and why the bytes are not a module that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Byte offset in the binary.
    pub offset: usize,
    /// The reason, in the spec suite's wording where it has one.
    pub message: Cow<'static, str>,
}

/// An error of this crate; one word wide.
#[derive(Clone, Debug)]
pub struct Error(Box<Repr>);

#[derive(Clone, Debug)]
struct Repr {
    kind: ErrorKind,
    offset: Option<usize>,
    rule: Option<Rule>,
    message: Cow<'static, str>,
    exception: Option<Exception>,
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(kind: ErrorKind, offset: Option<usize>, message: impl Into<Cow<'static, str>>) -> Error {
        Error(Box::new(Repr { kind, offset, rule: None, message: message.into(), exception: None }))
    }

    #[cold]
    pub(crate) fn malformed(offset: usize, message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Malformed, Some(offset), message)
    }

    #[cold]
    pub(crate) fn invalid(rule: Rule, offset: usize, message: impl Into<Cow<'static, str>>) -> Error {
        let mut error = Error::new(ErrorKind::Invalid, Some(offset), message);
        error.0.rule = Some(rule);
        error
    }

    #[cold]
    pub(crate) fn unsupported(offset: usize, message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Unsupported, Some(offset), message)
    }

    #[cold]
    pub(crate) fn link(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Link, None, message)
    }

    #[cold]
    pub(crate) fn trap(trap: TrapKind) -> Error {
        Error::new(ErrorKind::Trap(trap), None, trap.message())
    }

    /// An exception outside of wasm; `index` is its place in the heap.
    #[cold]
    pub(crate) fn exception_of(tag: TagAddr, values: Vec<Value>, index: u32) -> Error {
        let mut error = Error::new(ErrorKind::Exception, None, "uncaught exception");
        error.0.exception = Some(Exception { tag, values, reference: Ref::Exn(ObjectAddr(index)) });
        error
    }

    #[cold]
    pub(crate) fn exhausted(resource: Resource) -> Error {
        let message = match resource {
            Resource::CallStack => "call stack exhausted",
            Resource::Fuel => "all fuel consumed",
            Resource::GcHeap => "heap of objects exhausted",
            Resource::Memory => "memory or table limit exceeded",
        };
        Error::new(ErrorKind::Exhausted(resource), None, message)
    }

    #[cold]
    pub(crate) fn host(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Host, None, message)
    }

    #[cold]
    pub(crate) fn crash(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Crash, None, message)
    }

    #[cold]
    pub(crate) fn crash_at(offset: usize, message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Crash, Some(offset), message)
    }

    #[cold]
    pub(crate) fn usage(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Usage, None, message)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The byte offset in the module, when the failure has one.
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// The typing rule that does not hold, when the module is invalid.
    pub fn rule(&self) -> Option<Rule> {
        self.0.rule
    }

    /// The reason, without the kind.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The exception, when the error is one. A host function that returns the error throws it on.
    pub fn exception(&self) -> Option<&Exception> {
        self.0.exception.as_ref()
    }

    /// Offset and reason, when the bytes are not a module that can be used (malformed, invalid or unsupported).
    pub fn decode_error(&self) -> Option<DecodeError> {
        match self.0.kind {
            ErrorKind::Malformed | ErrorKind::Invalid | ErrorKind::Unsupported => {
                Some(DecodeError { offset: self.0.offset.unwrap_or(0), message: self.0.message.clone() })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            ErrorKind::Malformed => "malformed module",
            ErrorKind::Invalid => "invalid module",
            ErrorKind::Unsupported => "unsupported module",
            ErrorKind::Link => "link error",
            ErrorKind::Trap(_) => "trap",
            ErrorKind::Exception => "exception",
            ErrorKind::Exhausted(_) => "exhausted",
            ErrorKind::Host => "host error",
            ErrorKind::Crash => "crash (cannot happen in valid code)",
            ErrorKind::Usage => "wrong use",
        };
        write!(f, "{kind}: {}", self.0.message)?;
        match self.0.offset {
            Some(offset) => write!(f, " (at offset {offset:#x})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// How a host function ends, when not with its results.
#[derive(Clone, Debug)]
pub enum HostError {
    /// A failure of the host's own; the caller sees [`ErrorKind::Host`].
    Message(String),
    /// A failure of a nested call, handed on unchanged (a trap stays a trap, an exception is thrown on).
    Nested(Error),
    /// No failure: the fiber that the function runs on is suspended, and these are the results when it goes on. They are
    /// roots meanwhile. Where nothing can be suspended (outside of fibers, and in a nested call on one) the function returns them at once.
    Yield(Vec<Value>),
    /// No failure: the function ends by calling another one, whose results, of equal types, are its own. Unlike a nested
    /// call's, the callee's frames can be suspended. Wrong arguments or other results are an error of kind [`ErrorKind::Host`].
    Call {
        /// The function to call.
        func: FuncAddr,
        /// Its arguments.
        args: Vec<Value>,
    },
}

impl From<Error> for HostError {
    fn from(error: Error) -> HostError {
        HostError::Nested(error)
    }
}
