//! One event of a case whose last calls are fibers, as the header spells it.
//!
//! `resume K` gives fiber K a turn until it ends or a host function suspends it, `resume K for N` for N units of fuel,
//! `resume K for N epochs`, or both as `resume K for N fuel and M epochs`; `cancel K` gives it up; `collect` collects
//! fully while they rest; `epoch` lets the next epoch begin. Fibers are numbered from 0 in the order of their steps. An
//! event for a fiber that has ended, or that there is not, does nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How long a turn may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Slice {
    /// Units of fuel, at least 1; none = no limit.
    pub fuel: Option<u64>,
    /// Epochs, at least 1.
    pub epochs: Option<u64>,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Turn {
    /// The fiber goes on.
    Resume(u32, Slice),
    /// It is given up.
    Cancel(u32),
    /// A full collection.
    Collect,
    /// The next epoch begins.
    Epoch,
}

/// A text that spells no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnError {
    given: String,
}

impl fmt::Display for TurnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no event of fibers: write resume K, resume K for N, resume K for N epochs, resume K for N fuel and M \
             epochs, cancel K, collect or epoch, where K is a fiber from 0 and N and M begin at 1",
            self.given
        )
    }
}

impl std::error::Error for TurnError {}

impl FromStr for Turn {
    type Err = TurnError;

    fn from_str(text: &str) -> Result<Turn, TurnError> {
        turn(text).ok_or_else(|| TurnError { given: text.to_owned() })
    }
}

impl TryFrom<String> for Turn {
    type Error = TurnError;

    fn try_from(text: String) -> Result<Turn, TurnError> {
        text.parse()
    }
}

impl From<Turn> for String {
    fn from(turn: Turn) -> String {
        turn.to_string()
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Turn::Resume(fiber, Slice { fuel, epochs }) => {
                write!(f, "resume {fiber}")?;
                match (fuel, epochs) {
                    (None, None) => Ok(()),
                    (Some(fuel), None) => write!(f, " for {fuel}"),
                    (None, Some(epochs)) => write!(f, " for {epochs} epochs"),
                    (Some(fuel), Some(epochs)) => write!(f, " for {fuel} fuel and {epochs} epochs"),
                }
            }
            Turn::Cancel(fiber) => write!(f, "cancel {fiber}"),
            Turn::Collect => f.write_str("collect"),
            Turn::Epoch => f.write_str("epoch"),
        }
    }
}

fn turn(text: &str) -> Option<Turn> {
    let words: Vec<&str> = text.split(' ').collect();
    let (fiber, slice) = match words[..] {
        ["collect"] => return Some(Turn::Collect),
        ["epoch"] => return Some(Turn::Epoch),
        ["cancel", fiber] => return Some(Turn::Cancel(digits(fiber)?.try_into().ok()?)),
        ["resume", fiber] => (fiber, Slice::default()),
        ["resume", fiber, "for", fuel] => (fiber, Slice { fuel: Some(positive(fuel)?), epochs: None }),
        ["resume", fiber, "for", epochs, "epochs"] => {
            (fiber, Slice { fuel: None, epochs: Some(positive(epochs)?) })
        }
        ["resume", fiber, "for", fuel, "fuel", "and", epochs, "epochs"] => {
            (fiber, Slice { fuel: Some(positive(fuel)?), epochs: Some(positive(epochs)?) })
        }
        _ => return None,
    };
    Some(Turn::Resume(digits(fiber)?.try_into().ok()?, slice))
}

fn digits(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn positive(text: &str) -> Option<u64> {
    digits(text).filter(|&n| n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_read_and_written() {
        for text in [
            "resume 0",
            "resume 3 for 17",
            "resume 1 for 2 epochs",
            "resume 1 for 9 fuel and 1 epochs",
            "cancel 5",
            "collect",
            "epoch",
        ] {
            assert_eq!(text.parse::<Turn>().unwrap().to_string(), text);
        }
        let slice = Slice { fuel: Some(17), epochs: None };
        assert_eq!("resume 3 for 17".parse(), Ok(Turn::Resume(3, slice)));
    }

    #[test]
    fn errors_say_what_was_given() {
        for text in [
            "",
            "resume",
            "resume x",
            "resume 0 for",
            "resume 0 for 0",
            "resume 0 for 0 epochs",
            "resume 0  for 1",
            "resume 4294967296",
            "cancel -1",
            "cancel",
            "Collect",
            "resume 1 for 2 turns",
        ] {
            let error = text.parse::<Turn>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("{text:?} is no event of fibers")), "{error}");
        }
    }
}
