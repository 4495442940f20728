//! The one error of this crate.

use std::fmt;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// More canonical types than [`header::MAX_TYPES`](crate::header::MAX_TYPES), or a supertype chain deeper than the display.
    TypeLimit {
        /// What was asked for.
        given: usize,
        /// The limit.
        limit: usize,
    },
    /// The type description is not a valid rec group (dangling index, supertype that does not match).
    BadType(&'static str),
    /// Address space or memory could not be reserved.
    Reservation {
        /// Bytes asked for.
        bytes: usize,
        /// The operating system's error code.
        os: i32,
    },
    /// No collector of that name in the registry.
    UnknownCollector(String),
    /// A collection or an allocation met a word in the heap that no correct program leaves there.
    Corrupt {
        /// What is wrong with it.
        what: &'static str,
        /// Its heap offset.
        at: u32,
    },
    /// The verifier found a broken invariant.
    Verify(String),
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
    /// A `Corrupt`.
    pub(crate) fn corrupt(what: &'static str, at: u32) -> Error {
        Error::new(ErrorKind::Corrupt { what, at })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ErrorKind::TypeLimit { given, limit } => {
                write!(f, "too many types: {given}, the limit is {limit}")
            }
            ErrorKind::BadType(what) => write!(f, "malformed type description: {what}"),
            ErrorKind::Reservation { bytes, os } => write!(f, "cannot reserve {bytes} bytes (os error {os})"),
            ErrorKind::UnknownCollector(name) => write!(f, "no collector named {name:?}"),
            ErrorKind::Corrupt { what, at } => write!(f, "corrupt heap at {at:#x}: {what}"),
            ErrorKind::Verify(what) => write!(f, "heap verifier: {what}"),
        }
    }
}

impl std::error::Error for Error {}
