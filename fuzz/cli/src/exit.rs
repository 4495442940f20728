//! Exit codes and the failures that lead to them.

use std::fmt::Display;
use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Fine.
    Fine,
    /// A finding, or a failed check.
    Finding,
    /// Wrong use or bad input.
    BadInput,
    /// A fault of ours.
    Internal,
}

impl Exit {
    /// The process's exit code.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Exit::Fine => 0,
            Exit::Finding => 1,
            Exit::BadInput => 2,
            Exit::Internal => 3,
        })
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// The user's doing.
    pub(crate) fn bad_input(message: impl Display) -> Failure {
        Failure { exit: Exit::BadInput, message: message.to_string() }
    }

    /// Ours.
    pub(crate) fn internal(message: impl Display) -> Failure {
        Failure { exit: Exit::Internal, message: message.to_string() }
    }

    /// A check or a program failed.
    pub(crate) fn finding(message: impl Display) -> Failure {
        Failure { exit: Exit::Finding, message: message.to_string() }
    }

    /// Prints it and gives the exit.
    pub(crate) fn report(self) -> Exit {
        eprintln!("error: {}", self.message);
        self.exit
    }
}
