//! One testing mode of a case's schedule, as subjects spell it too.

use std::fmt;
use std::str::FromStr;

use assay_gc::Stress;
use serde::{Deserialize, Serialize};

use crate::subject::stress;

/// A testing mode of the heap: `verify`, `no-poison`, ….
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(String);

impl Mode {
    /// Switches it.
    pub fn apply(&self, stress: &mut Stress) {
        // It was parsed, so it is known.
        stress::set(stress, &self.0);
    }

    /// Whether other code is compiled for it.
    pub fn changes_code(&self) -> bool {
        let mut stress = Stress::default();
        self.apply(&mut stress);
        stress.barrier_slow || stress.every_safepoint != 0
    }
}

/// A text that spells no mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeError(String);

impl fmt::Display for ModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no mode; there are {}", self.0, stress::MODES)
    }
}

impl std::error::Error for ModeError {}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Mode, ModeError> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Mode {
    type Error = ModeError;

    fn try_from(text: String) -> Result<Mode, ModeError> {
        if stress::set(&mut Stress::default(), &text) { Ok(Mode(text)) } else { Err(ModeError(text)) }
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> String {
        mode.0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
