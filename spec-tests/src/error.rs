//! The crate's error: what kept the runner from running. A failing assertion is not an error, it is a result.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why the runner could not do its work.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
}

/// Kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or directory could not be read.
    Io,
    /// A directory holds no `.wast` file.
    EmptySuite,
    /// A filter is not a glob.
    Filter,
    /// No file matches the filters.
    EmptyFilter,
    /// A subject's spelling is wrong.
    Subject,
    /// A report could not be written.
    Report,
}

#[derive(Debug)]
enum Kind {
    Io { path: PathBuf, source: std::io::Error },
    EmptySuite { path: PathBuf },
    Filter { given: String, source: glob::PatternError },
    EmptyFilter { given: Vec<String> },
    Subject { given: String, why: String },
    Report { format: &'static str, why: String },
}

impl Error {
    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        match self.kind {
            Kind::Io { .. } => ErrorKind::Io,
            Kind::EmptySuite { .. } => ErrorKind::EmptySuite,
            Kind::Filter { .. } => ErrorKind::Filter,
            Kind::EmptyFilter { .. } => ErrorKind::EmptyFilter,
            Kind::Subject { .. } => ErrorKind::Subject,
            Kind::Report { .. } => ErrorKind::Report,
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Error {
        Error { kind: Kind::Io { path: path.to_owned(), source } }
    }

    pub(crate) fn empty_suite(path: &Path) -> Error {
        Error { kind: Kind::EmptySuite { path: path.to_owned() } }
    }

    pub(crate) fn filter(given: &str, source: glob::PatternError) -> Error {
        Error { kind: Kind::Filter { given: given.to_owned(), source } }
    }

    pub(crate) fn empty_filter(given: &[String]) -> Error {
        Error { kind: Kind::EmptyFilter { given: given.to_vec() } }
    }

    pub(crate) fn subject(given: &str, why: impl fmt::Display) -> Error {
        Error { kind: Kind::Subject { given: given.to_owned(), why: why.to_string() } }
    }

    pub(crate) fn report(format: &'static str, why: impl fmt::Display) -> Error {
        Error { kind: Kind::Report { format, why: why.to_string() } }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Kind::EmptySuite { path } => write!(f, "{}: no .wast file in it", path.display()),
            Kind::Filter { given, source } => write!(f, "filter `{given}`: {source}"),
            Kind::EmptyFilter { given } => write!(f, "no file matches {}", given.join(" or ")),
            Kind::Subject { given, why } => write!(f, "subject `{given}`: {why}"),
            Kind::Report { format, why } => write!(f, "the {format} report: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Io { source, .. } => Some(source),
            Kind::Filter { source, .. } => Some(source),
            Kind::EmptySuite { .. }
            | Kind::EmptyFilter { .. }
            | Kind::Subject { .. }
            | Kind::Report { .. } => None,
        }
    }
}
