//! Why a text is not a case.

use std::fmt;

/// An error of [`super::Case::parse`]: where and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseError {
    pub(super) path: String,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) kind: Kind,
}

/// What went wrong, with the particulars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Syntax { message: String },
    Header { message: String },
    Unsupported { what: String },
    UnknownTrap { text: String },
    Annotation { text: String },
}

/// Classes of [`CaseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseErrorKind {
    /// The `wast` parser refuses the text.
    Syntax,
    /// The TOML header is wrong.
    Header,
    /// A directive that cases do not have (threads, components, suspensions, custom sections).
    Unsupported,
    /// A trap or exhaustion text that no [`crate::TrapKind`] or [`crate::Resource`] stands for.
    UnknownTrap,
    /// A `;;@` comment with an unknown word, or with nothing to say it of.
    Annotation,
}

impl CaseError {
    /// The class.
    pub fn kind(&self) -> CaseErrorKind {
        match self.kind {
            Kind::Syntax { .. } => CaseErrorKind::Syntax,
            Kind::Header { .. } => CaseErrorKind::Header,
            Kind::Unsupported { .. } => CaseErrorKind::Unsupported,
            Kind::UnknownTrap { .. } => CaseErrorKind::UnknownTrap,
            Kind::Annotation { .. } => CaseErrorKind::Annotation,
        }
    }

    /// Line in the file, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.path, self.line, self.column)?;
        match &self.kind {
            Kind::Syntax { message } => f.write_str(message),
            Kind::Header { message } => write!(f, "in the case's header: {message}"),
            Kind::Unsupported { what } => write!(f, "unsupported in a case: {what}"),
            Kind::UnknownTrap { text } => write!(f, "no known trap or exhaustion is called {text:?}"),
            Kind::Annotation { text } => {
                write!(f, ";;@ {text}: expected `collect`, or `any` or `success` behind a directive")
            }
        }
    }
}

impl std::error::Error for CaseError {}
