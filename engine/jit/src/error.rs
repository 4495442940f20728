//! The one error of this crate.

use std::fmt;

/// Why a module was not compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not a module (binary format).
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
    /// Above an implementation limit.
    Limit {
        /// Of what.
        what: &'static str,
        /// What the module asks for; at least this where the parser does not tell (see [`limit`](crate::limit)).
        given: u64,
        /// The limit.
        limit: u64,
        /// The function, if it is one's.
        place: Option<Place>,
    },
    /// The type registry refused.
    Types(assay_gc::ErrorKind),
    /// This machine cannot run the code.
    Machine(String),
    /// A fault of this compiler: always a bug.
    Internal(String),
}

/// A function of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index, imports included.
    pub function: u32,
    /// Byte offset of its body.
    pub offset: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function {} at offset {:#x}", self.function, self.offset)
    }
}

/// The error of this crate; see [`Error::kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<ErrorKind>);

impl Error {
    /// Makes an error of `kind`.
    pub fn new(kind: ErrorKind) -> Error {
        Error(Box::new(kind))
    }
    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }
    /// The same; a limit is one of the function at `at`.
    pub(crate) fn within(mut self, at: Place) -> Error {
        if let ErrorKind::Limit { place, .. } = &mut *self.0 {
            *place = Some(at);
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
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
            ErrorKind::Types(kind) => write!(f, "{}", assay_gc::Error::new(kind.clone())),
            ErrorKind::Machine(message) => write!(f, "this machine cannot run the engine: {message}"),
            ErrorKind::Internal(message) => write!(f, "internal compiler error: {message}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<assay_gc::Error> for Error {
    fn from(error: assay_gc::Error) -> Error {
        Error::new(ErrorKind::Types(error.kind().clone()))
    }
}
