//! One collection of a case's schedule, as the header spells it: `KIND@PLACE:N`.
//!
//! `KIND` is `minor`, `full`, or `slice:OBJECTS`; `PLACE:N` is `alloc:N`, before the n-th allocation, or `safepoint:N`, at
//! the n-th safepoint, both from 1. Which object is the n-th hangs on the configuration, so a collection is at the
//! same place only where the configuration is the same.

use std::fmt;
use std::str::FromStr;

use assay_gc::{CollectKind, Event, Trigger};
use serde::{Deserialize, Serialize};

/// A collection at a place: `minor@alloc:7`, `slice:5@safepoint:31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Collection(pub Event);

impl Collection {
    /// Collections separated by commas, as on a command line.
    ///
    /// # Errors
    /// The first that is none.
    pub fn list(text: &str) -> Result<Vec<Collection>, CollectionError> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
    }

    /// Whether it needs code that passes safepoints.
    pub fn at_safepoint(&self) -> bool {
        matches!(self.0.at, Trigger::Safepoint(_))
    }
}

/// A text that spells no collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionError {
    given: String,
}

impl CollectionError {
    /// The text.
    pub fn given(&self) -> &str {
        &self.given
    }
}

impl fmt::Display for CollectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no collection: write KIND@alloc:N or KIND@safepoint:N, where KIND is minor, full or slice:OBJECTS and \
             the numbers begin at 1",
            self.given
        )
    }
}

impl std::error::Error for CollectionError {}

impl FromStr for Collection {
    type Err = CollectionError;

    fn from_str(text: &str) -> Result<Collection, CollectionError> {
        event(text).map(Collection).ok_or_else(|| CollectionError { given: text.to_owned() })
    }
}

impl TryFrom<String> for Collection {
    type Error = CollectionError;

    fn try_from(text: String) -> Result<Collection, CollectionError> {
        text.parse()
    }
}

impl From<Collection> for String {
    fn from(collection: Collection) -> String {
        collection.to_string()
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            CollectKind::Minor => f.write_str("minor")?,
            CollectKind::Full => f.write_str("full")?,
            CollectKind::Slice { objects } => write!(f, "slice:{objects}")?,
        }
        match self.0.at {
            Trigger::Allocation(n) => write!(f, "@alloc:{n}"),
            Trigger::Safepoint(n) => write!(f, "@safepoint:{n}"),
        }
    }
}

fn event(text: &str) -> Option<Event> {
    let (kind, place) = text.split_once('@')?;
    let kind = match kind.split_once(':') {
        None if kind == "minor" => CollectKind::Minor,
        None if kind == "full" => CollectKind::Full,
        Some(("slice", objects)) => CollectKind::Slice { objects: number(objects)?.try_into().ok()? },
        _ => return None,
    };
    let at = match place.split_once(':')? {
        ("alloc", n) => Trigger::Allocation(number(n)?),
        ("safepoint", n) => Trigger::Safepoint(number(n)?),
        _ => return None,
    };
    Some(Event { at, kind })
}

/// A number from 1, digits only.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&n| digits && n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_read_and_written() {
        for text in ["minor@alloc:7", "full@safepoint:31", "slice:5@alloc:9", "slice:1@safepoint:1"] {
            assert_eq!(text.parse::<Collection>().unwrap().to_string(), text);
        }
        let list = Collection::list("minor@alloc:7, full@safepoint:31,").unwrap();
        assert_eq!(list.len(), 2);
        assert!(!list[0].at_safepoint() && list[1].at_safepoint());
        assert_eq!(list[1].0, Event { at: Trigger::Safepoint(31), kind: CollectKind::Full });
        assert_eq!(Collection::list("").unwrap(), []);
    }

    #[test]
    fn errors_say_what_was_given() {
        for text in [
            "",
            "minor",
            "minor@alloc",
            "minor@alloc:",
            "minor@alloc:0",
            "minor@alloc:+1",
            "minor@call:1",
            "minor:2@alloc:1",
            "slice@alloc:1",
            "slice:0@alloc:1",
            "slice:4294967296@alloc:1",
            "full@safepoint:18446744073709551616",
            "Full@alloc:1",
            " full@alloc:1",
        ] {
            let error = text.parse::<Collection>().unwrap_err();
            assert_eq!(error.given(), text);
            assert!(error.to_string().starts_with(&format!("{text:?} is no collection")), "{error}");
        }
    }
}
